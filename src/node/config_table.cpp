// Every key of the configuration, with its default and a sentence. Flags, environment variables, `altiplano config show`
// and the errors follow from this table.
#include "node/config.hpp"

namespace altiplano::node {

std::span<const Setting> Config::table()
{
    using enum Setting::Type;
    static constexpr Setting all[] = {
        {"data", text, "~/.local/share/altiplano", "the data folder; made when missing"},
        {"units", list, "scheduler,compute,messenger,gateway", "the units that run here; the others are found by their URLs"},
        {"scheduler_url", text, "", "of the scheduler, when it does not run here: http://host:4003 or http://host:4000/su"},
        {"compute_url", text, "", "of the compute unit, when it does not run here: http://host:4004 or http://host:4000/cu"},
        {"messenger_url", text, "", "of the messenger, when it does not run here: http://host:4002 or http://host:4000/mu"},
        {"gateway_url", text, "", "of the gateway whose weave is followed, when it does not run here: http://host:4000"},
        {"unit_wait_s", number, "60", "how long another unit may take to answer, results not counted", 1, 86400},
        {"development", boolean, "true",
            "takes processes that name another scheduler, resolves aliases, mints test AR and mines when asked; off for a node "
            "that others rely on"},
        {"aliases", map, "",
            "published ids and the local items that stand for them: an id, or Tag=Value for the newest item with that tag"},
        {"outer_gateways", list, "",
            "gateways, by their URLs, that are asked for items that are not here; what they give is verified and then kept"},
        {"price_base", number, "0", "Winston that a transaction offers as its reward at least"},
        {"price_byte", number, "0", "Winston more for each byte of a transaction's data"},
        {"address", text, "127.0.0.1", "the address to listen on; any but this machine's own needs api_keys"},
        {"port", number, "4000", "the port; 0 takes a free one", 0, 65535},
        {"alias_ports", boolean, "true",
            "serve the units on the four ports after --port too: bundler, messenger, scheduler, compute"},
        {"hosts", list, "", "names by which others may call this node (Host header), besides localhost"},
        {"api_keys", list, "", "keys of at least 16 characters; when there are some, every write needs one", 0, INT64_MAX, {},
            true},
        {"proxies", list, "", "addresses and networks of proxies whose X-Forwarded-For, -Proto and -Host are believed"},
        {"allow", list, "",
            "addresses, networks and hosts that may be asked although they are not public, when a stranger names them"},
        {"threads", number, "32", "requests served at once; those that wait for a result do not count", 1, 1024},
        {"loops", number, "2", "threads that read requests and write replies; never blocked, so few do", 1, 64},
        {"kept_replies_mb", number, "64", "MiB of finished replies kept that stay the same for ever, such as results; 0: none", 0,
            65536},
        {"connections", number, "1024", "connections at once", 1, 1'000'000},
        {"address_connections", number, "256", "connections at once from one address that is not this machine", 1, 1'000'000},
        {"address_rate", number, "100",
            "requests a second from one address that is not this machine, ten seconds' worth at once; 0: no limit", 0, 1'000'000},
        {"waiting", number, "4096", "requests that wait for results at once", 1, 1'000'000},
        {"idle_s", number, "60", "how long a connection may be silent between requests, or not read", 1, 86400},
        {"header_s", number, "20", "how long the header of a request may take", 1, 3600},
        {"body_rate", number, "4096", "bytes a second that a request's body must come at", 1, 1'000'000'000},
        {"header_bytes", number, "16384", "bytes of a request's header", 1024, 1'048'576},
        {"header_fields", number, "100", "fields of a request's header", 10, 10'000},
        {"target_bytes", number, "8192", "bytes of a request's path and query", 256, 65536},
        {"shutdown_s", number, "10", "how long requests under way may take when the node stops", 0, 3600},
        {"access_log", text, "", "file that gets a line of JSON for each request; - is stderr"},
        {"workers", number, "0", "evaluations at once; 0: as many as there are processors", 0, 1024},
        {"tensor_threads", number, "0",
            "processors that one evaluation may compute a model's graphs on, while others are not under way; 0: all. Shows in no "
            "result",
            0, 1024},
        {"warm", number, "32", "idle machines kept in memory", 0, 100'000},
        {"warm_memory", text, "", "what they may take, as 4-gb; by default half of this machine's memory"},
        {"shares", map, "",
            "processor time when several owners wait, as ADDRESS=SHARE with shares from 1 to 1000; an owner that is not named "
            "has 1"},
        {"processes_per_owner", number, "100000",
            "processes that one owner may have here, those counted that its processes spawned; 0: no limit"},
        {"spawns_per_hour", number, "0", "processes that one owner may spawn in an hour, counted likewise; 0: no limit"},
        {"checkpoints", number, "0",
            "older checkpoints kept of each process, besides the newest two: for looking back, and verifying in parts", 0, 1000},
        {"checkpoint_signers", list, "",
            "addresses whose checkpoints in AO's format are taken in when somebody asks; their states are trusted, not computed"},
        {"modules", text, "", "folder of compiled modules, shared by your nodes; by default inside the data folder"},
        {"memory_offer", text, "16-gb",
            "the most memory that a process may come to need here, at most 1-tb; one that may need more is refused"},
        {"image_gas", number, "20000000000", "gas after which a process is written as an image, to save replays"},
        {"scheduler_key", text, "ed25519", "kind of the scheduler's key, when it is made", 0, INT64_MAX,
            "ed25519|arweave|ethereum"},
        {"authority_key", text, "ed25519", "kind of the key that signs what processes send, when it is made", 0, INT64_MAX,
            "ed25519|arweave|ethereum"},
        {"scheduler_location", text, "",
            "the URL by which others reach the scheduler, which it says on the weave; by default one that only this machine "
            "reaches"},
        {"route_to", list, "", "URLs of schedulers: /su then schedules nothing, but says with 307 which of them has a process"},
        {"hops_max", number, "100000", "messages after one another that one message may set off", 1},
        {"cron_poll_ms", number, "10000", "how often processes whose cron is watched are looked after", 1, 86'400'000},
        {"cron_unasked", number, "20000",
            "cron evaluations due at once that are done unasked; a process that owes more is parked"},
        {"tracker", text, "automatic", "how written pages are found; shows in no result", 0, INT64_MAX,
            "automatic|kernel|fault|compare"},
        {"door_workers", number, "1",
            "worker processes for each model behind /v1, the OpenAI-compatible door; 0: there is no door", 0, 256},
        {"door_models", list, "", "names or ids of the models that the door offers; by default all that are attested"},
        {"door_module", text, "", "id of the module of the door's workers; by default the newest that is named llama"},
        {"door_context", number, "4096", "tokens that a request through the door and its answer may have", 256, 1 << 20},
        {"worker_program", text, "", "the program that runs as worker; this one by default"},
    };
    return all;
}

}  // namespace altiplano::node
