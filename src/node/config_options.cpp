#include "node/config_options.hpp"

#include "base/text.hpp"
#include "compute/limits.hpp"
#include "node/errors.hpp"
#include "node/http/access_log.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace altiplano::node {

Result<Node::Options> node_options(const Config& config, const Path& program, std::size_t processors)
{
    const auto tracker = config.text("tracker");
    const auto worker = config.text("worker_program");
    const auto card = config.text("card");
    const auto workers = config.number("workers");
    const auto threads = config.number("tensor_threads");
    bool here[3] = {};
    constexpr std::string_view names[] = {"scheduler", "compute", "messenger"};
    for (const auto& unit : config.list("units")) {
        const auto* const name = std::ranges::find(names, unit);
        if (name == std::end(names) && unit != "gateway")
            return fail(errors::bad_config, fmt::format("{}: there is no unit '{}'", config.origin("units"), unit),
                "units are scheduler, compute, messenger, gateway");
        if (name != std::end(names))
            here[name - std::begin(names)] = true;
    }
    // Half of what this machine has, for machines that wait; the rest of it caches their images.
    auto warm_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 2;
    if (const auto text = config.text("warm_memory"); !text.empty()) {
        TRY(warm_bytes, compute::memory_size(text, "warm_memory"));
    }
    std::map<std::string, std::uint64_t> shares;
    for (const auto& [account, text] : config.map("shares")) {
        const auto share = whole_number(text);
        if (!share || *share < 1 || *share > 1000)
            return fail(errors::bad_config, fmt::format("{}: the share of {} is '{}'", config.origin("shares"), account, text),
                "shares are numbers from 1 to 1000");
        shares[account] = *share;
    }
    TRY(const auto memory_offer, compute::memory_size(config.text("memory_offer"), "memory_offer"));
    return Node::Options{.data = config.text("data"),
        .modules = config.text("modules"),
        .program = worker.empty() ? program : Path(worker),
        .card = card == "on" ? Node::Options::Card::on
            : card == "off"  ? Node::Options::Card::off
                             : Node::Options::Card::automatic,
        .workers = workers == 0 ? processors : workers,
        .warm_max = config.number("warm"),
        .shares = std::move(shares),
        .processes_per_owner = config.number("processes_per_owner"),
        .spawns_per_hour = config.number("spawns_per_hour"),
        .image_gas = config.number("image_gas"),
        .history_states = config.number("checkpoints"),
        .checkpoint_signers = config.list("checkpoint_signers"),
        .warm_bytes_max = warm_bytes,
        .memory_offer_bytes = std::min(memory_offer, memory::Region::memory_bytes_max),
        .waiting_max = config.number("waiting"),
        .any_scheduler = config.boolean("development"),
        .scheduler_key = config.text("scheduler_key"),
        .authority_key = config.text("authority_key"),
        .route_to = config.list("route_to"),
        .hops_max = config.number("hops_max"),
        .cron_poll_ms = static_cast<std::int64_t>(config.number("cron_poll_ms")),
        .cron_unasked_max = config.number("cron_unasked"),
        .tracker = tracker == "kernel" ? memory::Tracker::kernel
            : tracker == "fault"       ? memory::Tracker::fault
            : tracker == "compare"     ? memory::Tracker::compare
                                       : memory::Tracker::automatic,
        .threads = {.processors = static_cast<unsigned>(processors),
            .each_max = static_cast<unsigned>(threads == 0 ? processors : threads)},
        .transactions = {.price = {.base = item::Winston(config.number("price_base")),
                             .per_byte = item::Winston(config.number("price_byte"))},
            .mint = config.boolean("development")},
        .outer = {.gateways = config.list("outer_gateways")},
        .aliases = config.boolean("development") ? config.map("aliases") : std::map<std::string, std::string>{},
        .scheduler_here = here[0],
        .compute_here = here[1],
        .messenger_here = here[2],
        .scheduler_url = config.text("scheduler_url"),
        .compute_url = config.text("compute_url"),
        .messenger_url = config.text("messenger_url"),
        .gateway_url = config.text("gateway_url"),
        .unit_wait_ms = static_cast<std::int64_t>(config.number("unit_wait_s")) * 1000,
        .allow = config.list("allow"),
        .door_here = config.number("door_workers") > 0,
        .door = {.workers = config.number("door_workers"),
            .models = config.list("door_models"),
            .module = config.text("door_module"),
            .context_tokens = config.number("door_context")}};
}

Result<http::Server::Options> server_options(const Config& config, Clock& clock)
{
    http::Server::Options options{.address = config.text("address"),
        .threads = config.number("threads"),
        .loops = config.number("loops"),
        .kept_bytes_max = config.number("kept_replies_mb") << 20,
        .connections_max = config.number("connections"),
        .address_connections_max = config.number("address_connections"),
        .address_rate = config.number("address_rate"),
        .idle_max = std::chrono::seconds(config.number("idle_s")),
        .header_max = std::chrono::seconds(config.number("header_s")),
        .body_rate_min = config.number("body_rate"),
        .header_bytes_max = config.number("header_bytes"),
        .header_fields_max = config.number("header_fields"),
        .target_bytes_max = config.number("target_bytes"),
        .gate = {.hosts = config.list("hosts"), .api_keys = config.list("api_keys"), .proxies = config.list("proxies")}};
    if (const auto path = config.text("access_log"); !path.empty()) {
        TRY(options.log, http::access_log(path, clock));
    }
    return options;
}

}  // namespace altiplano::node
