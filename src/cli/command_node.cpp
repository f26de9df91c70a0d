// Runs the node in the foreground and workers as processes of their own; asks the kernel about signals and processes.
#include "base/json.hpp"
#include "base/log.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "compute/worker.hpp"
#include "node/http/routes.hpp"
#include "node/http/server.hpp"

#include <csignal>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace altiplano::cli {

namespace {

struct NodeOptions {
    std::string data;
    std::uint16_t port = 4000;
    bool alias_ports = true;
    std::size_t workers = static_cast<std::size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    std::size_t warm = 8;
    std::string tracker = "automatic";
    std::string modules;
    std::string worker_program;
    std::uint64_t image_gas = 20'000'000'000;
};

Result<void> run_node(const NodeOptions& options)
{
    // Every thread leaves these two to this one; workers inherit that, so that Ctrl-C reaches the node alone.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    const auto tracker = options.tracker == "kernel" ? memory::Tracker::kernel
        : options.tracker == "fault"                 ? memory::Tracker::fault
        : options.tracker == "compare"               ? memory::Tracker::compare
                                                     : memory::Tracker::automatic;
    TRY(const auto node,
        node::Node::open({.data = options.data,
                             .modules = options.modules,
                             .program = options.worker_program.empty() ? own_program() : Path(options.worker_program),
                             .workers = options.workers,
                             .warm_max = options.warm,
                             .image_gas = options.image_gas,
                             .tracker = tracker},
            system_files(), system_clock(), system_random()));
    const auto site = node::http::routes(*node);
    std::vector<node::http::Server::Endpoint> endpoints{{site.get(), options.port}};
    const auto aliases = node::http::alias_sites(*node);
    if (options.alias_ports && options.port != 0)
        for (std::size_t i = 0; i < aliases.size(); ++i)
            endpoints.push_back({aliases[i].get(), static_cast<std::uint16_t>(options.port + 1 + i)});
    TRY(auto server, node::http::Server::listen(endpoints, {}));
    std::printf("ready http://127.0.0.1:%d\n", server->ports().front());
    std::fflush(stdout);

    int signal = 0;
    sigwait(&ends, &signal);
    log::info("stopping");
    // First nobody waits any more, then nobody is served, then machines go to sleep.
    node->compute().stop();
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
    auto options = std::make_shared<NodeOptions>();
    auto* const node = app.add_subcommand("node", "runs a node; prints 'ready URL' when it serves, stops on SIGTERM or Ctrl-C");
    node->add_option("--data", options->data, "the data folder; made when missing")->required();
    node->add_option("--port", options->port, "on 127.0.0.1; 0 takes a free one")->capture_default_str();
    node->add_flag("--alias-ports,!--no-alias-ports", options->alias_ports,
        "serve the units on the four ports after --port too: bundler, messenger, scheduler, compute");
    node->add_option("--workers", options->workers, "evaluations at once")->check(CLI::Range(1, 1024))->capture_default_str();
    node->add_option("--warm", options->warm, "idle machines kept in memory")->capture_default_str();
    node->add_option(
        "--modules", options->modules, "folder of compiled modules, shared by your nodes; by default inside the data folder");
    node->add_option("--image-gas", options->image_gas, "gas after which a process is written as an image, to save replays")
        ->capture_default_str();
    node->add_option("--tracker", options->tracker, "how written pages are found; shows in no result")
        ->check(CLI::IsMember({"automatic", "kernel", "fault", "compare"}))
        ->capture_default_str();
    node->add_option("--worker-program", options->worker_program, "the program that runs as worker; this one by default")
        ->group("");
    node->callback([options, &common, &exit] {
        if (const auto done = run_node(*options); !done)
            exit = report(common, done.error());
    });

    auto* const worker = app.add_subcommand("worker", "")->group("");
    worker->callback([&exit] {
        // A node that dies takes its workers along, whatever they are doing.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != 1)
            exit = static_cast<Exit>(compute::run_worker(3));
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
