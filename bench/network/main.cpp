// `bench network`: what the network side of a node costs, against what stands outside.
//   accept  signed 1 KiB messages to 1 and to 100 processes: verified, assigned, durable, indexed, answered. Against the
//           machine's ceiling: OpenSSL verifies such a message and signs one assignment, in a tight loop. Both in messages per
//           second of processor time, since the generator runs on the same machine. The ceiling evaluates nothing, so the node
//           measured is scheduler and gateway only; a second one computes, and is asked when processes are spawned.
//   accept-wao  the same to the messenger, over 8 connections, in messages per second of the wall. Against the emulator of npm's
//   `wao`,
//           which keeps everything in memory.
//   read    a cached result of 1 KiB over connections that stay open, against nginx with a file of that size, both per second of
//           processor time of the server.
//   eval-http  (its own name: `bench eval-http`) trivial Evals and their results, one client, one after the other: a message to
//   the
//           messenger, then its result from the compute unit. AO's aos2_0_6 here, the emulator's own aos there.
//   bench_network ALTIPLANO PROCESS.wasm NGINX "COMMAND OF WAO" AOS.wasm [--json] [--smoke] [CASE...]
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "item/data_item.hpp"
#include "item/deep_hash.hpp"
#include "item/ed25519.hpp"
#include "item/openssl.hpp"
#include "lib/bench.hpp"
#include "network/load.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

using namespace altiplano;
using bench::must;

namespace {

enum class Units { all, scheduler_apart };

/// A node in a process of its own, in a folder that goes with it.
class Home {
public:
    explicit Home(const std::string& program, Units units = Units::all)
        : folder_(std::filesystem::temp_directory_path() / fmt::format("altiplano-network-{}", getpid()))
        , wallet_(item::Ed25519Signer::generate(system_random()))
    {
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_);
        const auto port = bench::free_port();
        if (units == Units::all) {
            node_ = start(program, "data", port, {});
            return;
        }
        const auto compute_port = bench::free_port();
        const auto here = fmt::format("http://127.0.0.1:{}", port);
        node_ = start(program, "data", port,
            {"--units", "scheduler,gateway", "--compute-url", fmt::format("http://127.0.0.1:{}/cu", compute_port)});
        compute_ = start(
            program, "compute", compute_port, {"--units", "compute", "--scheduler-url", here + "/su", "--gateway-url", here});
    }
    ~Home()
    {
        compute_.reset();
        node_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    const bench::Served& node() const { return *node_; }

    item::DataItem build(std::optional<ProcessId> target, item::Tags tags, Buffer data)
    {
        return must(item::build({.target = target ? std::optional(Digest(*target)) : std::nullopt,
                                    .anchor = fmt::format("{:032}", ++count_),
                                    .tags = std::move(tags),
                                    .data = std::move(data)},
            wallet_));
    }
    void post(const std::string& path, const item::DataItem& item)
    {
        const auto done = bench::load(node_->port(), {bench::post_request(path, to_string(item.wire()))}, 1);
        if (done.answered != 1)
            bench::give_up({"bench.refused", fmt::format("the node does not take an item at {}", path), {}});
    }
    ItemId put_module(const Path& wasm, const std::string& format = "wasm64-wasi-altiplano_1")
    {
        const auto module = build(
            {}, {{"Data-Protocol", "ao"}, {"Type", "Module"}, {"Module-Format", format}}, must(read_file(system_files(), wasm)));
        post("/tx", module);
        return module.id();
    }
    ProcessId spawn(const ItemId& module)
    {
        const auto process = build(
            {}, {{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Module", module.text()}, {"Scheduler", module.text()}}, {});
        post("/su", process);
        return ProcessId(process.id());
    }
    item::DataItem message(const ProcessId& process, std::size_t data_bytes)
    {
        return build(process, {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Bench"}},
            Buffer(data_bytes, std::byte{'x'}));
    }

private:
    std::unique_ptr<bench::Served> start(
        const std::string& program, const std::string& name, std::uint16_t port, const std::vector<std::string>& options) const
    {
        std::vector<std::string> command{program, "node", "--data", (folder_ / name).string(), "--port", std::to_string(port),
            "--no-alias-ports", "--config", "/dev/null"};
        command.insert(command.end(), options.begin(), options.end());
        return std::make_unique<bench::Served>(command, "ready ", port);
    }

    Path folder_;
    item::Ed25519Signer wallet_;
    std::uint64_t count_ = 0;
    std::unique_ptr<bench::Served> node_;
    std::unique_ptr<bench::Served> compute_;
};

/// Messages per second of processor time that OpenSSL verifies and gives one signature, and nothing else.
bench::Sample ceiling(const std::vector<item::DataItem>& messages)
{
    using item::openssl::Owned;
    using item::openssl::raw;
    const std::array<unsigned char, 32> seed{1};
    const Owned<EVP_PKEY> key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
    std::uint64_t verified = 0;
    const double seconds = bench::thread_seconds([&] {
        for (const auto& message : messages) {
            const auto& header = message.header();
            const auto text = header.message(item::deep_hash_blob(message.data()));
            const Owned<EVP_PKEY> owner(
                EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(header.owner_key()), header.owner_key().size()));
            const Owned<EVP_MD_CTX> check(EVP_MD_CTX_new());
            if (EVP_DigestVerifyInit(check.get(), nullptr, nullptr, nullptr, owner.get()) == 1
                && EVP_DigestVerify(check.get(), raw(header.signature()), header.signature().size(), raw(text), text.size()) == 1)
                ++verified;
            const auto assignment = sha384(header.signature());
            const Owned<EVP_MD_CTX> sign(EVP_MD_CTX_new());
            std::array<unsigned char, 64> signature{};
            auto length = signature.size();
            if (EVP_DigestSignInit(sign.get(), nullptr, nullptr, nullptr, key.get()) == 1)
                (void)EVP_DigestSign(sign.get(), signature.data(), &length, raw(assignment), assignment.size());
            bench::used(signature);
        }
    });
    return {.figure = static_cast<double>(messages.size()) / seconds, .work = verified};
}

bench::Row accept(const bench::Arguments& given, std::size_t processes)
{
    Home home(given.rest[0], Units::scheduler_apart);
    const auto module = home.put_module(given.rest[1]);
    std::vector<ProcessId> targets;
    for (std::size_t i = 0; i < processes; ++i)
        targets.push_back(home.spawn(module));
    const std::size_t count = given.smoke ? 50 : 4000;
    std::vector<item::DataItem> messages;
    const auto ours = [&]() -> bench::Sample {
        messages.clear();
        std::vector<std::string> requests;
        for (std::size_t i = 0; i < count; ++i) {
            messages.push_back(home.message(targets[i % targets.size()], 1024));
            requests.push_back(bench::post_request("/su", to_string(messages.back().wire())));
        }
        const auto before = home.node().cpu_seconds();
        const auto done = bench::load(home.node().port(), requests, 32);
        const auto spent = home.node().cpu_seconds() - before;
        fmt::print(stderr, "accept, {} processes: {:.0f} messages/s on the wall, {:.0f} us of processor time each\n", processes,
            static_cast<double>(done.answered) / done.seconds, spent / static_cast<double>(done.answered) * 1e6);
        return {.figure = static_cast<double>(done.answered) / std::max(spent, 0.001), .work = done.answered};
    };
    return bench::in_turn(fmt::format("accept, 1 KiB, {} process{}", processes, processes == 1 ? "" : "es"),
        "OpenSSL: verify + sign", "messages/cpu-s", bench::Better::more, given.smoke ? 1 : 5, ours,
        [&] { return ceiling(messages); });
}

/// The emulator's own names of the module and the scheduler that it comes with.
constexpr std::string_view wao_module = "ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s";
/// It gives every message an owner of its own, which a process must trust.
constexpr std::string_view wao_authority = "eNaLJLsMiWCSWvQKNbk_YT-9ydeWl9lrWwXxLVp9kcg";
constexpr std::string_view wao_scheduler = "_GQ33BkPtZrqxA84vM8Zk-N2aO0toNNu_C-l-rawrBA";

/// The emulator of npm's `wao`, in a process of its own.
class Wao {
public:
    explicit Wao(const std::string& words)
        : port_(bench::free_port())
    {
        std::vector<std::string> command;
        for (auto rest = std::string_view(words); !rest.empty();) {
            const auto word = rest.substr(0, rest.find(' '));
            command.emplace_back(word);
            rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        }
        command.push_back(std::to_string(port_));
        server_ = std::make_unique<bench::Served>(command, fmt::format("CU on port {}", port_ + 4), port_);
    }
    std::uint16_t messenger() const { return static_cast<std::uint16_t>(port_ + 2); }
    std::uint16_t compute() const { return static_cast<std::uint16_t>(port_ + 4); }
    ProcessId spawn(Home& home) const
    {
        const auto process = home.build({},
            {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Process"}, {"Module", std::string(wao_module)},
                {"Scheduler", std::string(wao_scheduler)}, {"Authority", std::string(wao_authority)}},
            to_buffer(" "));
        if (bench::load(messenger(), {bench::post_request("/", to_string(process.wire()))}, 1).answered != 1)
            bench::give_up({"bench.refused", "the emulator does not take a process", {}});
        return ProcessId(process.id());
    }

private:
    std::uint16_t port_;
    std::unique_ptr<bench::Served> server_;
};

bench::Row accept_wao(const bench::Arguments& given)
{
    Home home(given.rest[0]);
    const auto process = home.spawn(home.put_module(given.rest[1]));
    const Wao wao(given.rest[3]);
    const auto theirs = wao.spawn(home);

    // The emulator takes some ten seconds for each.
    const std::size_t count = given.smoke ? 16 : 64;
    const auto measured = [&](std::uint16_t to, const std::string& path, const ProcessId& target) -> bench::Sample {
        std::vector<std::string> requests;
        for (std::size_t i = 0; i < count; ++i)
            requests.push_back(bench::post_request(path, to_string(home.message(target, 1024).wire())));
        const auto done = bench::load(to, requests, 8);
        return {.figure = static_cast<double>(done.answered) / done.seconds, .work = done.answered};
    };
    return bench::in_turn(
        "accept-wao, 1 KiB, 8 connections", "wao 0.35.7, in memory", "messages/s", bench::Better::more, 1,
        [&] { return measured(home.node().port(), "/mu", process); }, [&] { return measured(wao.messenger(), "/", theirs); });
}

bench::Row eval_http(const bench::Arguments& given)
{
    Home home(given.rest[0]);
    const auto process = home.spawn(home.put_module(given.rest[4], "wasm64-unknown-emscripten-draft_2024_02_15"));
    const Wao wao(given.rest[3]);
    const auto theirs = wao.spawn(home);

    struct Side {
        std::uint16_t messenger, compute;
        std::string message_path, result_path;
        ProcessId process;
    };
    const auto measured = [&](const Side& side, std::size_t count) -> bench::Sample {
        std::string last;
        double spent = 0;
        std::uint64_t answered = 0;
        // The first message of a process compiles its module.
        for (std::size_t i = 0; i <= count; ++i) {
            const auto message = home.build(side.process,
                {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Eval"}},
                to_buffer("return 70000 + 707"));
            const auto post = bench::post_request(side.message_path, to_string(message.wire()));
            last = fmt::format("{}/result/{}?process-id={}", side.result_path, message.id().text(), side.process.text());
            const auto get = bench::get_request(last);
            const double took = bench::seconds([&] {
                answered += bench::load(side.messenger, {post}, 1).answered;
                answered += bench::load(side.compute, {get}, 1).answered;
            });
            spent += i == 0 ? 0 : took;
        }
        // Both have evaluated: what the last one gave stands in its result.
        const auto result = bench::output_of(fmt::format("curl -s 'http://127.0.0.1:{}{}'", side.compute, last));
        if (answered != 2 * (count + 1) || result.find("70707") == result.npos)
            bench::give_up({"bench.no_result",
                fmt::format("{} answers; port {} gave {}", answered, side.compute, result.substr(0, 300)), {}});
        return {.figure = static_cast<double>(count) / spent, .work = 70707};
    };
    const auto port = home.node().port();
    const std::size_t ours = given.smoke ? 20 : 500, others = given.smoke ? 1 : 20;
    return bench::in_turn(
        "eval-http, aos2_0_6, one client", "wao 0.35.7, in memory", "messages/s", bench::Better::more, given.smoke ? 1 : 3,
        [&] { return measured({port, port, "/mu", "/cu", process}, ours); },
        [&] { return measured({wao.messenger(), wao.compute(), "/", "", theirs}, others); });
}

/// nginx as its packages configure it for files, in a folder of its own.
class Nginx {
public:
    explicit Nginx(const std::string& program, const std::string& content)
        : folder_(std::filesystem::temp_directory_path() / fmt::format("altiplano-nginx-{}", getpid()))
    {
        std::filesystem::create_directories(folder_ / "www");
        must(write_file(system_files(), folder_ / "www" / "result", as_bytes(content)));
        const auto port = bench::free_port();
        const auto at = folder_.string();
        must(write_file(system_files(), folder_ / "nginx.conf",
            as_bytes(fmt::format(
                "daemon off; worker_processes 2; pid {0}/pid; error_log {0}/error.log;\n"
                "events {{ worker_connections 1024; }}\n"
                "http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=100;\n"
                "  client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d;\n"
                "  scgi_temp_path {0}/e; default_type application/json;\n"
                "  server {{ listen 127.0.0.1:{1}; root {0}/www; }} }}\n",
                at, port))));
        server_ = std::make_unique<bench::Served>(
            std::vector<std::string>{program, "-p", at, "-c", at + "/nginx.conf", "-e", at + "/error.log"}, "", port);
    }
    ~Nginx()
    {
        server_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    const bench::Served& server() const { return *server_; }

private:
    Path folder_;
    std::unique_ptr<bench::Served> server_;
};

bench::Row read(const bench::Arguments& given)
{
    Home home(given.rest[0]);
    const auto module = home.put_module(given.rest[1]);
    const auto process = home.spawn(module);
    // An answer whose result has about 1 KiB.
    const auto message = home.build(
        process, {{"Data-Protocol", "ao"}, {"Type", "Message"}, {"Action", "Eval"}}, to_buffer("return string.rep('x', 800)"));
    home.post("/", message);
    const auto path = fmt::format("/cu/result/{}?process-id={}", message.id().text(), process.text());
    const auto first = bench::load(home.node().port(), {bench::get_request(path)}, 1);
    Nginx nginx(given.rest[2], std::string(first.body_bytes, 'x'));

    const std::size_t count = given.smoke ? 200 : 40'000;
    const auto measured = [&](const bench::Served& server, const std::string& request) -> bench::Sample {
        const auto before = server.cpu_seconds();
        const auto done = bench::load(server.port(), {bench::get_request(request)}, 8, count);
        const auto spent = server.cpu_seconds() - before;
        fmt::print(stderr, "read, port {}: {:.0f} requests/s on the wall, {:.1f} us of processor time each\n", server.port(),
            static_cast<double>(done.answered) / done.seconds, spent / static_cast<double>(done.answered) * 1e6);
        return {.figure = static_cast<double>(done.answered) / std::max(spent, 0.001), .work = done.body_bytes};
    };
    return bench::in_turn(
        fmt::format("read, cached result, {} bytes", first.body_bytes), "nginx, a file", "requests/cpu-s", bench::Better::more,
        given.smoke ? 1 : 5, [&] { return measured(home.node(), path); }, [&] { return measured(nginx.server(), "/result"); });
}

}  // namespace

int main(int count, char** values)
{
    auto given = bench::arguments(count, values);
    if (given.rest.size() < 5) {
        fmt::print(stderr,
            "usage: bench_network ALTIPLANO PROCESS.wasm NGINX \"COMMAND OF WAO\" AOS.wasm [--json] [--smoke] [accept] "
            "[accept-wao] "
            "[read] [eval-http]\n");
        return 2;
    }
    const std::vector<std::string> cases(given.rest.begin() + 5, given.rest.end());
    const auto wanted = [&](std::string_view name) { return cases.empty() || std::ranges::find(cases, name) != cases.end(); };
    std::vector<bench::Row> rows;
    if (wanted("accept"))
        for (const std::size_t processes : {std::size_t{1}, given.smoke ? std::size_t{3} : std::size_t{100}})
            rows.push_back(accept(given, processes));
    if (wanted("accept-wao"))
        rows.push_back(accept_wao(given));
    if (wanted("read"))
        rows.push_back(read(given));
    if (std::ranges::find(cases, "eval-http") != cases.end())
        rows.push_back(eval_http(given));
    bench::report(rows, given.json);
}
