// `bench eval`: trivial Evals per second in a process of AO's aos2_0_6 and in one of ours, durable: each message signed,
// verified, assigned, logged, evaluated in a worker, its result and state root stored and synced. Against AO's loader with
// the same aos2_0_6, which is given the very messages that ours evaluated, keeps all in memory and signs, logs and stores
// nothing. One by one is what somebody waits for who needs each answer before the next question; several callers at once, each of
// whom does that, are what the process gets through, as the outside is asked one thing after the other without waiting for
// anybody.
//   bench_eval ALTIPLANO AOS.wasm PROCESS.wasm "COMMAND OF THE OUTSIDE" [--json] [--smoke]
//   bench_eval ALTIPLANO alone AOS.wasm MESSAGES [CALLERS...]   ours alone, for a profiler
#include "base/counters.hpp"
#include "base/executor.hpp"
#include "base/json.hpp"
#include "compute/context.hpp"
#include "item/ed25519.hpp"
#include "lib/bench.hpp"
#include "node/node.hpp"

#include <cstdio>
#include <filesystem>
#include <fmt/format.h>

using namespace altiplano;
using bench::must;

namespace {

constexpr std::string_view aos_format = "wasm64-unknown-emscripten-draft_2024_02_15";
constexpr std::string_view own_format = "wasm64-wasi-altiplano_1";

/// A node with one Lua process.
class Home {
public:
    Home(const Path& program, const Path& wasm, std::string_view format)
        : key_(item::Ed25519Signer::generate(system_random()))
    {
        std::filesystem::create_directories(folder_);
        node_ = must(node::Node::open(
            {.data = folder_, .program = program, .workers = 2}, system_files(), system_clock(), system_random()));
        const auto module =
            must(item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Module"}, {"Module-Format", std::string(format)}},
                                 .data = must(read_file(system_files(), wasm))},
                key_));
        must(node_->weave().put({must(weave::stage(module, node_->weave().blobs()))}));
        const auto spawn =
            must(item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Module", module.id().text()},
                                  {"Scheduler", node_->scheduler().address().text()}}},
                key_));
        process_ = must(node_->messenger().accept(spawn)).slot->process;
        must(node_->compute().result({process_, 0}));
    }
    ~Home()
    {
        node_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    /// Sends a trivial Eval and waits for its result. @return what the process gave
    std::uint64_t eval(std::uint64_t number)
    {
        const auto message = must(item::build({.target = Digest(process_),
                                                  .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}, {"Action", "Eval"}},
                                                  .data = to_buffer(fmt::format("return {} + 1 --{}", number, counter_++))},
            key_));
        const auto accepted = must(node_->messenger().accept(message));
        const auto result = must(node_->compute().result(*accepted.slot));
        const auto answer = must(JsonView::parse(result.output));
        const auto output = answer.find("response")->find("Output");
        const auto data = output->find("data");
        const auto text = data->find("output") ? data->find("output")->text() : data->text();
        return std::stoull(*text);
    }

    /// What the guest read of its first messages, for another loader: a line of JSON for each, the process itself first.
    std::string lines(std::uint64_t messages)
    {
        const auto entry = [&](std::uint64_t nonce) { return must(node_->scheduler().entry({process_, nonce})); };
        const auto spawn = entry(0);
        const auto context = must(compute::context_of(node_->weave(), spawn.message.header(), *spawn.assignment.semantics));
        std::string lines;
        for (std::uint64_t nonce = 0; nonce <= messages; ++nonce) {
            const auto work = compute::work_of(entry(nonce), context);
            lines += fmt::format("{{\"message\":{},\"env\":{}}}\n", work.message_json, work.env_json);
        }
        return lines;
    }
    const Path& folder() const { return folder_; }

private:
    Path folder_ = std::filesystem::temp_directory_path() / fmt::format("altiplano-bench-{}", system_clock().monotonic_ns());
    item::Ed25519Signer key_;
    std::unique_ptr<node::Node> node_;
    ProcessId process_;
    std::atomic<std::uint64_t> counter_ = 0;
};

/// @param sent  a file of lines as `Home::lines` gives them
bench::Sample outside(const std::string& command, const Path& sent)
{
    const auto output = bench::output_of(fmt::format("{} '{}'", command, sent.string()));
    const auto answer = must(JsonView::parse(output));
    return {.figure = answer.find("messages_per_second")->number().value(),
        .work = static_cast<std::uint64_t>(answer.find("work")->integer().value())};
}

/// @param rounds  how often the messages are sent, so that the callers' beginning and end count little
bench::Sample ours(Home& home, std::uint64_t messages, std::size_t at_once, std::uint64_t rounds)
{
    std::atomic<std::uint64_t> work = 0;
    const double seconds = bench::seconds([&] {
        const auto pool = thread_pool("callers", at_once);
        for (std::size_t caller = 0; caller < at_once; ++caller)
            pool->post([&, caller] {
                for (std::uint64_t sent = caller; sent < rounds * messages; sent += at_once)
                    work += home.eval(1 + sent % messages);
            });
    });
    return {.figure = static_cast<double>(rounds * messages) / seconds, .work = work / rounds};
}

/// How many callers at once: one, then eight, or what is given.
std::vector<std::size_t> callers_of(const std::vector<std::string>& rest)
{
    if (rest.size() == 4)
        return {1, 8};
    std::vector<std::size_t> given;
    for (std::size_t i = 4; i < rest.size(); ++i)
        given.push_back(std::stoull(rest[i]));
    return given;
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    if (given.rest.size() >= 4 && given.rest[1] == "alone") {
        Home aos(given.rest[0], given.rest[2], aos_format);
        for (const std::size_t at_once : callers_of(given.rest)) {
            static const auto& commits = counters::counter("altiplano_store_commits_total", "Commits, each with one sync.");
            const auto before = commits.value();
            const auto messages = std::stoull(given.rest[3]);
            const auto sample = ours(aos, messages, at_once, 1);
            fmt::print("{} at once: {:.0f} messages/s, {:.2f} commits each\n", at_once, sample.figure,
                static_cast<double>(commits.value() - before) / static_cast<double>(messages));
        }
        return 0;
    }
    if (given.rest.size() != 4) {
        fmt::print(stderr,
            "usage: bench_eval ALTIPLANO AOS.wasm PROCESS.wasm \"COMMAND OF THE OUTSIDE\" [--json] [--smoke]\n"
            "       bench_eval ALTIPLANO alone AOS.wasm MESSAGES [CALLERS...]\n");
        return 2;
    }
    Home aos(given.rest[0], given.rest[1], aos_format);
    Home own(given.rest[0], given.rest[2], own_format);
    const std::uint64_t messages = given.smoke ? 10 : 200;
    // What one caller sends before the clock runs, in order: the outside is given the same.
    const auto sent = aos.folder() / "sent.jsonl";
    (void)ours(aos, messages, 1, 1);
    must(write_file(system_files(), sent, as_bytes(aos.lines(messages))));
    const int runs = given.smoke ? 1 : 5;
    const auto row = [&](Home& home, const char* name, std::size_t at_once) {
        const std::uint64_t rounds = at_once == 1 || given.smoke ? 1 : 10;
        return bench::in_turn(
            name, "ao-loader, aos2_0_6", "messages/s", bench::Better::more, runs,
            [&] { return ours(home, messages, at_once, rounds); }, [&] { return outside(given.rest[3], sent); });
    };
    bench::report({row(aos, "aos2_0_6, durable, one by one", 1), row(aos, "aos2_0_6, durable, eight callers", 8),
                      row(aos, "aos2_0_6, durable, sixteen callers", 16), row(own, "our Lua, durable, one by one", 1)},
        given.json);
}
