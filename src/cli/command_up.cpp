// The development node: starts a node as a process of its own and gives it wallets, money, packages and an AI worker.
#include "base/base64url.hpp"
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "cli/up/development.hpp"
#include "cli/up/prepared.hpp"
#include "node/data_folder.hpp"
#include "store/references.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace altiplano::cli {

namespace {

struct UpOptions {
    std::string data;
    std::string port = "4000";
    std::string guest;
    std::string model;
    bool ai = true;
    bool ephemeral = false;
    bool prepare = false;
    std::size_t workers = 1;
};

/// A node that runs beside us. It ends with us.
class Child {
public:
    /// @return cli.bad_answer when it ends before it serves
    static Result<std::unique_ptr<Child>> start(const std::vector<std::string>& arguments)
    {
        int ends[2];
        ENSURE(pipe2(ends, O_CLOEXEC) == 0, "a pipe can be made");
        auto child = std::make_unique<Child>();
        child->process_ = fork();
        if (child->process_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            dup2(ends[1], STDOUT_FILENO);
            std::vector<char*> argv;
            for (const auto& argument : arguments)
                argv.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: execv's signature
            argv.push_back(nullptr);
            execv(arguments.front().c_str(), argv.data());
            _exit(127);
        }
        close(ends[1]);
        std::string line;
        char c = 0;
        while (read(ends[0], &c, 1) == 1 && c != '\n')
            line += c;
        child->output_ = ends[0];
        if (!line.starts_with("ready "))
            return fail(errors::bad_answer, "the node did not start", "what it said stands above");
        child->url_ = line.substr(6);
        return child;
    }
    Child() = default;
    ~Child()
    {
        if (process_ > 0) {
            kill(process_, SIGTERM);
            wait();
        }
        if (output_ >= 0)
            close(output_);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    int wait()
    {
        int status = 0;
        if (process_ > 0)
            while (waitpid(process_, &status, 0) < 0 && errno == EINTR) { }
        process_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    pid_t process() const { return process_; }
    const std::string& url() const { return url_; }

private:
    pid_t process_ = 0;
    int output_ = -1;
    std::string url_;
};

// Whoever ends us ends the node, and waits for it: a signal only passes on.
volatile std::sig_atomic_t ended = 0;
pid_t ended_child = 0;

void end_the_node(int)
{
    ended = 1;
    kill(ended_child, SIGTERM);
}

Result<void> send_all(const Client& client, const std::vector<Development::Step>& steps)
{
    for (const auto& step : steps)
        TRY_OK(client.post("/", step.item.wire()));
    return {};
}

Result<void> provide(const Client& client, const Development::Stage& stage)
{
    for (const auto& step : stage.items) {
        TRY(const auto there, client.exists("/" + step.item.id().text()));
        if (!there)
            TRY_OK(client.post("/tx", step.item.wire()));
    }
    return send_all(client, stage.messages);
}

/// The model becomes an item, and is used where it lies.
Result<void> provide_model(const Client& client, const node::DataFolder& folder, const Path& file, const item::Header& header)
{
    TRY(const auto there, client.exists("/" + header.id().text()));
    if (there)
        return {};
    TRY(const auto opened, system_files().open(file, Files::Mode::read));
    TRY(const auto hash, store::sha256_of(*opened, store::Cached::in_large_pieces));
    TRY(const auto blobs, store::Blobs::open_to_read(system_files(), folder.blobs()));
    TRY_OK(store::refer(system_files(), *blobs, std::filesystem::canonical(file), hash));
    TRY_OK(client.post("/blob/" + hex(hash.bytes()), header.wire()));
    return attest(client, development_wallet("owner"), header.id().text());
}

Result<void> prepare(const Path& guest, const Path& model)
{
    TRY_OK(compile_module(guest / "process.wasm"));
    if (model.empty())
        return {};
    TRY_OK(model_header(model));
    return compile_module(guest / "llama.wasm");
}

Result<void> keep_wallets(const Path& folder)
{
    TRY_OK(system_files().make_directories(folder));
    for (const std::string name : {"alice", "bob", "owner"}) {
        const auto file = folder / (name + ".json");
        if (system_files().exists(file))
            continue;
        TRY_OK(write_file(system_files(), file, as_bytes(development_wallet(name).jwk())));
        TRY_OK(system_files().set_private(file));
    }
    return {};
}

void banner(const UpOptions& options, const Development& made, const std::string& url, std::int64_t ms)
{
    const auto bold = colours() ? "\x1b[1m" : "", plain = colours() ? "\x1b[0m" : "", gray = colours() ? "\x1b[90m" : "";
    fmt::print("\n{}Altiplano development node{}  {}  {}ready in {} ms{}\n\n", bold, plain, url, gray, ms, plain);
    const auto row = [&](std::string_view name, std::string_view value, std::string_view about) {
        fmt::print("  {:<10} {}  {}{}{}\n", name, value, gray, about, plain);
    };
    for (const std::string name : {"alice", "bob"})
        row(name, development_wallet(name).address().text(), "1000 test wAR, no value: wallets/" + name + ".json");
    row("wAR", made.war, "test AR, no value; 12 decimals; minted by the faucet alone");
    row("faucet", made.faucet, "gives test AR, no value: altiplano token faucet");
    row("registry", made.registry, "of packages: @apm/apm, @sam/Llama-Herder, @rakis/DbAdmin, @rakis/WeaveDrive");
    row("herder", made.herder, "takes AI jobs for wAR");
    for (const auto& worker : made.workers)
        row("worker", worker, "an AI; its model is loaded at the first start of a node");
    if (!made.model.empty())
        row("model", made.model, "the bundled one");
    fmt::print("\n  data       {}{}\n\n", options.data, options.ephemeral ? "  (gone when this ends)" : "");
    fmt::print("  try        altiplano console demo --url {}\n", url);
    fmt::print("             altiplano token transfer PROCESS 0.001 --url {}\n", url);
    fmt::print("  published ids of wAR, herder, registry, aos and llama lead here: altiplano alias ls\n  stop       Ctrl-C\n\n");
    std::fflush(stdout);
}

Result<void> run(UpOptions& options, const Common& common, Exit& exit)
{
    const auto began = system_clock().monotonic_ns();
    std::signal(SIGPIPE, SIG_IGN);
    const Path guest = options.guest.empty() ? own_program().parent_path() / "../../guest" : Path(options.guest);
    Path model = options.model.empty() ? bundled_model() : Path(options.model);
    if (!options.ai || !system_files().exists(guest / "llama.wasm"))
        model.clear();
    if (options.prepare)
        return prepare(guest, model);
    if (options.ephemeral) {
        std::string folder = (std::filesystem::temp_directory_path() / "altiplano-up-XXXXXX").string();
        ENSURE(mkdtemp(folder.data()) != nullptr, "a temporary folder can be made");
        options.data = folder;
    }
    struct Gone {
        const UpOptions& options;
        ~Gone()
        {
            std::error_code ignored;
            if (options.ephemeral)
                std::filesystem::remove_all(options.data, ignored);
        }
    } const gone{options};
    const node::DataFolder folder{options.data};

    // The ids of what is spawned follow from the node's keys: they are made before it starts.
    Development::Options plan{
        .scheduler = {}, .authority = {}, .guest = guest, .model_id = {}, .workers = options.workers, .funded = {}};
    std::optional<item::Header> header;
    if (!model.empty()) {
        TRY(header, model_header(model));
        plan.model_id = header->id().text();
    }
    {
        TRY(const auto lock, folder.claim(system_files()));
        TRY(const auto scheduler, node::load_or_make_key(system_files(), system_random(), folder.key("scheduler")));
        TRY(const auto authority, node::load_or_make_key(system_files(), system_random(), folder.key("authority")));
        plan.scheduler = scheduler->address();
        plan.authority = authority->address();
    }
    TRY(const auto key, common.key());
    plan.funded.push_back(key->address().text());
    TRY(const auto made, Development::make(plan, system_files()));
    TRY_OK(keep_wallets(Path(options.data) / "wallets"));

    std::string aliases;
    for (const auto& [published, local] : made.aliases)
        aliases += fmt::format("{}{}={}", aliases.empty() ? "" : ",", published, local);
    std::vector<std::string> arguments{own_program().string(), "node", "--data", options.data, "--port", options.port,
        "--aliases", aliases, "--modules", shared_modules().string()};
    // Ctrl-C reaches both of us, and the node ends first.
    TRY(const auto node, Child::start(arguments));
    ended_child = node->process();
    std::signal(SIGTERM, end_the_node);
    std::signal(SIGINT, end_the_node);
    const Client client(node->url());
    TRY_OK(provide(client, made.first));
    if (common.json) {
        JsonWriter json;
        json.begin_object().member("url", std::string_view(node->url())).member("war", std::string_view(made.war));
        json.member("registry", std::string_view(made.registry)).member("herder", std::string_view(made.herder));
        json.member("faucet", std::string_view(made.faucet))
            .member("model", std::string_view(made.model))
            .key("workers")
            .begin_array();
        for (const auto& worker : made.workers)
            json.string(worker);
        json.end_array().end_object();
        std::puts(json.text().c_str());
        std::fflush(stdout);
    } else {
        banner(options, made, node->url(), (system_clock().monotonic_ns() - began) / 1'000'000);
    }

    // The AI comes behind: who asks the herder meanwhile waits in its queue.
    if (header)
        TRY_OK(provide_model(client, folder, model, *header));
    TRY_OK(provide(client, made.later));
    if (header) {
        const auto ms = (system_clock().monotonic_ns() - began) / 1'000'000;
        if (common.json)
            fmt::print("{{\"ai\":true,\"ms\":{}}}\n", ms);
        else
            fmt::print("  the AI is there after {} ms\n\n", ms);
        std::fflush(stdout);
    }

    // From here on the node is what runs.
    if (node->wait() != 0)
        exit = Exit::failure;
    return {};
}

}  // namespace

void add_up_command(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<UpOptions>();
    options->data = environment_or("XDG_DATA_HOME", environment_or("HOME", ".") + "/.local/share") + "/altiplano-development";
    auto* const up = app.add_subcommand("up", "a development node with wallets, test money, packages and an AI worker");
    up->add_option("--data", options->data, "the data folder; made when missing")->capture_default_str();
    up->add_option("--port", options->port, "on 127.0.0.1; 0 takes a free one")->capture_default_str();
    up->add_flag("--ephemeral", options->ephemeral, "keep nothing");
    up->add_option("--workers", options->workers, "AI workers")->check(CLI::Range(1, 64))->capture_default_str();
    up->add_option("--model", options->model, "a GGUF file; by default the bundled one");
    up->add_flag("--ai,!--no-ai", options->ai, "with a model and a worker");
    up->add_flag("--prepare", options->prepare, "only compile what it needs for this machine, so that it starts at once");
    up->add_option("--guest", options->guest, "folder with process.wasm and llama.wasm")->group("");
    up->callback([options, &common, &exit] {
        // What fails because the node was told to end is no failure.
        if (const auto done = run(*options, common, exit); !done && ended == 0)
            exit = report(common, done.error());
    });
}

}  // namespace altiplano::cli
