#include "node/config_options.hpp"

#include "compute/limits.hpp"
#include "node/http/access_log.hpp"

#include <algorithm>
#include <unistd.h>

namespace altiplano::node {

Result<Node::Options> node_options(const Config& config, const Path& program, std::size_t processors)
{
    const auto tracker = config.text("tracker");
    const auto worker = config.text("worker_program");
    const auto workers = config.number("workers");
    // Half of what this machine has, for machines that wait; the rest of it caches their images.
    auto warm_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 2;
    if (const auto text = config.text("warm_memory"); !text.empty()) {
        TRY(warm_bytes, compute::memory_size(text, "warm_memory"));
    }
    TRY(const auto memory_offer, compute::memory_size(config.text("memory_offer"), "memory_offer"));
    return Node::Options{.data = config.text("data"),
        .modules = config.text("modules"),
        .program = worker.empty() ? program : Path(worker),
        .workers = workers == 0 ? processors : workers,
        .warm_max = config.number("warm"),
        .image_gas = config.number("image_gas"),
        .history_states = config.number("checkpoints"),
        .warm_bytes_max = warm_bytes,
        .memory_offer_bytes = std::min(memory_offer, memory::Region::memory_bytes_max),
        .waiting_max = config.number("waiting"),
        .any_scheduler = config.boolean("development"),
        .tracker = tracker == "kernel" ? memory::Tracker::kernel
            : tracker == "fault"       ? memory::Tracker::fault
            : tracker == "compare"     ? memory::Tracker::compare
                                       : memory::Tracker::automatic,
        .transactions = {.price = {.base = item::Winston(config.number("price_base")),
                             .per_byte = item::Winston(config.number("price_byte"))},
            .mint = config.boolean("development")},
        .outer = {.gateways = config.list("outer_gateways")}};
}

Result<http::Server::Options> server_options(const Config& config, Clock& clock)
{
    http::Server::Options options{.address = config.text("address"),
        .threads = config.number("threads"),
        .connections_max = config.number("connections"),
        .address_connections_max = config.number("address_connections"),
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
