// Runs the node in the foreground and workers as processes of their own; asks the kernel about signals and processes.
#include "base/json.hpp"
#include "base/log.hpp"
#include "cli/commands.hpp"
#include "cli/config_options.hpp"
#include "cli/errors.hpp"
#include "cli/file_clock.hpp"
#include "compute/worker.hpp"
#include "cuda/card.hpp"
#include "cuda/server.hpp"
#include "node/config_options.hpp"
#include "node/http/routes.hpp"
#include "node/http/server.hpp"

#include <csignal>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace altiplano::cli {

namespace {

/// Connections, blobs and workers need descriptors: as many as this user may have.
void raise_descriptor_limit()
{
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

Result<void> run_node(const ConfigFlags& flags)
{
    // Every thread leaves these two to this one; workers inherit that, so that Ctrl-C reaches the node alone.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();

    TRY(const auto config, flags.load());
    const auto processors = static_cast<std::size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    TRY(auto options, node::node_options(config, own_program(), processors));
    options.data = home_path(options.data.string());
    TRY(const auto server_options, node::server_options(config, system_clock()));

    // Tests let a day pass in seconds.
    const char* const wall_clock = std::getenv("ALTIPLANO_TEST_WALL_CLOCK");
    FileClock file_clock(wall_clock ? wall_clock : "");
    Clock& clock = wall_clock ? static_cast<Clock&>(file_clock) : system_clock();

    TRY(const auto node, node::Node::open(options, system_files(), clock, system_random()));
    const auto site = node::http::routes(*node);
    const auto port = static_cast<std::uint16_t>(config.number("port"));
    std::vector<node::http::Server::Endpoint> endpoints{{site.get(), port}};
    const auto aliases = node::http::alias_sites(*node);
    if (config.boolean("alias_ports") && port != 0)
        for (std::size_t i = 0; i < aliases.size(); ++i)
            endpoints.push_back({aliases[i].get(), static_cast<std::uint16_t>(port + 1 + i)});
    TRY(auto server, node::http::Server::listen(endpoints, server_options));
    // With ports of their own units are at the root of one; a client that follows a redirect keeps no more than that.
    const auto& ports = server->ports();
    const auto location = config.text("scheduler_location");
    if (options.scheduler_here)
        TRY_OK(node->publish_scheduler_location(!location.empty() ? location
                : ports.size() > 3                                ? fmt::format("http://127.0.0.1:{}", ports[3])
                                                                  : fmt::format("http://127.0.0.1:{}/su", ports.front())));
    std::printf("ready http://127.0.0.1:%d\n", server->ports().front());
    std::fflush(stdout);

    int signal = 0;
    sigwait(&ends, &signal);
    log::info("stopping");
    // First nobody waits any more, then everybody is answered and nobody served, then machines go to sleep.
    node->stop();
    server->drain(std::chrono::seconds(config.number("shutdown_s")));
    server.reset();
    return {};
}

}  // namespace

Path own_program()
{
    std::error_code code;
    auto path = std::filesystem::read_symlink("/proc/self/exe", code);
    return code ? Path("/proc/self/exe") : path;
}

void add_node_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto* const node = app.add_subcommand("node", "runs a node; prints 'ready URL' when it serves, stops on SIGTERM or Ctrl-C");
    const auto flags = add_config_options(*node);
    node->callback([flags, &common, &exit] {
        if (const auto done = run_node(*flags); !done)
            exit = report(common, done.error());
    });

    auto* const worker = app.add_subcommand("worker", "")->group("");
    worker->callback([&exit] {
        // A node that dies takes its workers along, whatever they are doing.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != 1)
            exit = static_cast<Exit>(compute::run_worker(3));
    });

    auto* const card = app.add_subcommand("card", "")->group("");
    card->callback([] {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != 1)
            cuda::run_card_process(3, 4, cuda::tested_card);
    });

    auto* const status = app.add_subcommand("status", "how the node is");
    status->callback([&common, &exit] {
        const auto answer = Client(common.url).get("/~altiplano/status");
        if (!answer) {
            exit = report(common, answer.error());
            return;
        }
        std::vector<std::pair<std::string, std::string>> lines{{"node", common.url}};
        for (const auto& [name, value] : answer->view()->members())
            lines.emplace_back(name, value.text().value_or(std::string(value.raw())));
        print(common, std::string(answer->view()->raw()), lines);
    });

    auto* const key = app.add_subcommand("key", "the wallet that signs what you send");
    key->callback([&common, &exit] {
        const auto wallet = common.key();
        if (!wallet) {
            exit = report(common, wallet.error());
            return;
        }
        JsonWriter json;
        json.begin_object()
            .member("address", std::string_view((*wallet)->address().text()))
            .member("file", std::string_view(common.wallet))
            .member("type", (*wallet)->type().name)
            .end_object();
        print(common, json.text(),
            {{"address", (*wallet)->address().text()}, {"file", common.wallet}, {"type", std::string((*wallet)->type().name)}});
    });
}

}  // namespace altiplano::cli
