// Many processes on one node: `bench fleet`, `sleep`, `parallel`, `replay`, `fair`.
//   bench_fleet fleet|sleep|parallel|replay|fair ALTIPLANO PROCESS.wasm [--json] [--smoke]
//   bench_fleet fleet ALTIPLANO PROCESS.wasm PROCESSES WARM MESSAGES   for a profiler
// fleet     Evals to processes drawn by lot, most of them asleep, against cores x one warm process's rate, which has one caller
//           who waits for each result: as many callers as cores, and four times as many, who keep the cores busy
// sleep     what a process that is asleep takes of the node's memory, against one that is awake; no file may stay open for it
// parallel  as many CPU-bound processes at once as there are cores, against each alone
// replay    slots per second of a log computed again after its results and images were deleted, against the same Evals live
// fair      the 99th of 100 round trips of an Eval while other processes compute without end, against the same on an idle node
#include "base/executor.hpp"
#include "base/json.hpp"
#include "item/ed25519.hpp"
#include "lib/bench.hpp"
#include "node/node.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

using namespace altiplano;
using bench::must;

namespace {

std::size_t cores()
{
    return static_cast<std::size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

/// A node with Lua processes.
class Home {
public:
    Home(Path program, const Path& wasm, std::size_t warm)
        : program_(std::move(program))
        , warm_(warm)
    {
        std::filesystem::create_directories(folder_);
        open();
        const auto module =
            must(item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Module"}, {"Module-Format", "wasm64-wasi-altiplano_1"}},
                                 .data = must(read_file(system_files(), wasm))},
                key_));
        must(node_->weave().put({must(weave::stage(module, node_->weave().blobs()))}));
        module_ = module.id();
    }
    ~Home()
    {
        node_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    ProcessId spawn()
    {
        const auto item = must(item::build({.anchor = anchor(),
                                               .tags = {{"Data-Protocol", "ao"}, {"Type", "Process"}, {"Module", module_.text()},
                                                   {"Scheduler", node_->scheduler().address().text()}}},
            key_));
        const auto slot = *must(node_->messenger().accept(item)).slot;
        must(node_->compute().result(slot));
        return slot.process;
    }
    /// @return the number that the code gave
    std::uint64_t eval(const ProcessId& process, const std::string& code)
    {
        const auto message = must(item::build({.target = Digest(process),
                                                  .anchor = anchor(),
                                                  .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}, {"Action", "Eval"}},
                                                  .data = to_buffer(std::string_view(code))},
            key_));
        const auto accepted = must(node_->messenger().accept(message));
        const auto result = must(node_->compute().result(*accepted.slot));
        const auto answer = must(JsonView::parse(result.output));
        const auto data = answer.find("response")->find("Output")->find("data");
        const auto text = data->find("output") ? data->find("output")->text() : data->text();
        return std::stoull(*text);
    }
    /// Everything that can be computed again is deleted and computed again, up to the last slot of `process`.
    void replay(const ProcessId& process)
    {
        node_.reset();
        for (const auto* name : {"cache.db", "cache.db-wal", "cache.db-shm", "images"})
            std::filesystem::remove_all(folder_ / name);
        open();
        const auto info = must(node_->scheduler().process(process));
        must(node_->compute().result({process, info.slots - 1}));
    }
    std::uint64_t slots(const ProcessId& process) { return must(node_->scheduler().process(process)).slots; }
    /// Hands a message in without waiting for its result.
    void send(const ProcessId& process, const std::string& code)
    {
        const auto message = must(item::build({.target = Digest(process),
                                                  .anchor = anchor(),
                                                  .tags = {{"Data-Protocol", "ao"}, {"Type", "Message"}, {"Action", "Eval"}},
                                                  .data = to_buffer(std::string_view(code))},
            key_));
        must(node_->messenger().accept(message));
    }

    node::Node& node() { return *node_; }

private:
    void open()
    {
        node_ = must(node::Node::open({.data = folder_, .program = program_, .workers = cores(), .warm_max = warm_},
            system_files(), system_clock(), system_random()));
    }
    std::string anchor()
    {
        auto text = fmt::format("{}", counter_++);
        text.resize(32, '.');
        return text;
    }

    Path program_;
    std::size_t warm_;
    Path folder_ = std::filesystem::temp_directory_path() / fmt::format("altiplano-bench-{}", system_clock().monotonic_ns());
    item::Ed25519Signer key_ = item::Ed25519Signer::generate(system_random());
    std::unique_ptr<node::Node> node_;
    ItemId module_;
    std::atomic<std::uint64_t> counter_ = 0;
};

constexpr const char* trivial = "return 1 + 1";
constexpr const char* heavy = "local x = 0 for i = 1, 8000000 do x = (x + i) % 1000003 end return x";

/// Runs `body(caller, turn)` from so many callers, `count` times in all.
void together(std::size_t callers, std::size_t count, const std::function<void(std::size_t caller, std::size_t turn)>& body)
{
    const auto pool = thread_pool("callers", callers);
    for (std::size_t caller = 0; caller < callers; ++caller)
        pool->post([&, caller] {
            for (std::size_t turn = caller; turn < count; turn += callers)
                body(caller, turn);
        });
}

std::vector<bench::Row> fleet(const bench::Arguments& given)
{
    const auto size = [&](std::size_t place, std::size_t small, std::size_t full) {
        return given.rest.size() == 6 ? std::stoull(given.rest[place]) : given.smoke ? small : full;
    };
    const auto processes = size(3, 12, 10000);
    const auto messages = size(5, 24, 4000);
    Home home(given.rest[1], given.rest[2], size(4, 4, 256));
    std::vector<ProcessId> all;
    for (std::size_t i = 0; i < processes; ++i)
        all.push_back(home.spawn());
    const auto by_lot = [&](std::size_t callers) {
        return [&, callers]() -> bench::Sample {
            std::atomic<std::uint64_t> work = 0;
            const double seconds = bench::seconds([&] {
                together(callers, messages, [&](std::size_t, std::size_t turn) {
                    work += home.eval(all[(turn * 2654435761U + 12345) % processes], trivial);
                });
            });
            return {.figure = static_cast<double>(messages) / seconds, .work = work};
        };
    };
    const auto one = [&]() -> bench::Sample {
        std::uint64_t work = 0;
        const double seconds = bench::seconds([&] {
            for (std::size_t turn = 0; turn < messages; ++turn)
                work += home.eval(all.front(), trivial);
        });
        return {.figure = static_cast<double>(cores()) * static_cast<double>(messages) / seconds, .work = work};
    };
    const auto row = [&](std::size_t callers) {
        return bench::in_turn(fmt::format("fleet of {}, {} callers", processes, callers), "cores x one warm process",
            "messages/s", bench::Better::more, given.smoke || given.rest.size() == 6 ? 1 : 5, by_lot(callers), one);
    };
    return {row(cores()), row(4 * cores())};
}

/// Bytes of memory that this process, which is the node, has now.
std::uint64_t resident_bytes()
{
    std::array<std::byte, 64> text{};
    must(must(system_files().open("/proc/self/statm", Files::Mode::read))->read_at(0, text));
    const auto view = as_text(text);
    return std::stoull(std::string(view.substr(view.find(' ') + 1))) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::vector<bench::Row> asleep(const bench::Arguments& given)
{
    const std::size_t processes = given.smoke ? 40 : 10000;
    Home home(given.rest[1], given.rest[2], 4);
    const auto spawn = [&](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            home.spawn();
    };
    const auto open_files = [] { return must(system_files().list("/proc/self/fd")).size(); };
    spawn(processes / 2);
    const auto bytes_before = resident_bytes();
    const auto files_before = open_files();
    spawn(processes - processes / 2);
    const auto bytes = resident_bytes() - std::min(resident_bytes(), bytes_before);
    if (const auto files = open_files(); files > files_before + 8)
        bench::give_up({"bench.files_stay_open",
            fmt::format("{} files were open for {} processes, {} for {}", files_before, processes / 2, files, processes), ""});
    auto& compute = *home.node().local_compute();
    const auto life = compute.life();
    const auto images = must(compute.images().total());
    fmt::print(stderr, "{} processes, {} of them awake; on disk {} bytes of images each\n", life.known, life.awake,
        images.bytes / processes);
    const auto each = std::max(static_cast<double>(bytes) / static_cast<double>(processes - processes / 2), 1.0);
    const auto awake = static_cast<double>(life.resident_bytes) / static_cast<double>(std::max<std::size_t>(life.awake, 1));
    return {bench::in_turn(
        fmt::format("memory of one of {} asleep", processes), "of one awake", "bytes", bench::Better::less, 1,
        [&]() -> bench::Sample { return {.figure = each, .work = processes}; },
        [&]() -> bench::Sample { return {.figure = awake, .work = processes}; })};
}

std::vector<bench::Row> parallel(const bench::Arguments& given)
{
    Home home(given.rest[1], given.rest[2], 16);
    std::vector<ProcessId> all;
    for (std::size_t i = 0; i < cores(); ++i)
        all.push_back(home.spawn());
    const auto run = [&](std::size_t at_once) {
        return [&, at_once]() -> bench::Sample {
            std::atomic<std::uint64_t> work = 0;
            const double seconds = bench::seconds([&] {
                together(at_once, all.size(), [&](std::size_t, std::size_t turn) { work += home.eval(all[turn], heavy); });
            });
            const auto scale = at_once == 1 ? static_cast<double>(all.size()) : 1.0;
            return {.figure = scale * static_cast<double>(all.size()) / seconds, .work = work};
        };
    };
    return {bench::in_turn(fmt::format("{} CPU-bound processes at once", all.size()), "each alone", "evaluations/s",
        bench::Better::more, given.smoke ? 1 : 21, run(all.size()), run(1))};
}

std::vector<bench::Row> replay(const bench::Arguments& given)
{
    const std::size_t messages = given.smoke ? 30 : 20000;
    Home home(given.rest[1], given.rest[2], 16);
    const auto process = home.spawn();
    double live = 0;
    std::uint64_t work = 0;
    live = bench::seconds([&] {
        for (std::size_t i = 0; i < messages; ++i)
            work += home.eval(process, trivial);
    });
    const double again = bench::seconds([&] { home.replay(process); });
    const auto slots = static_cast<double>(home.slots(process));
    return {bench::in_turn(
        fmt::format("replay of {} slots", messages + 1), "the same Evals live", "slots/s", bench::Better::more, 1,
        [&]() -> bench::Sample { return {.figure = slots / again, .work = work}; },
        [&]() -> bench::Sample { return {.figure = static_cast<double>(messages) / live, .work = work}; })};
}

std::vector<bench::Row> fair(const bench::Arguments& given)
{
    const std::size_t trips = given.smoke ? 10 : 1000;
    Home home(given.rest[1], given.rest[2], 16);
    const auto quick = home.spawn();
    std::vector<ProcessId> greedy;
    for (std::size_t i = 0; i < cores(); ++i)
        greedy.push_back(home.spawn());
    const auto p99 = [&]() -> bench::Sample {
        std::vector<double> all;
        std::uint64_t work = 0;
        for (std::size_t i = 0; i < trips; ++i)
            all.push_back(bench::seconds([&] { work += home.eval(quick, trivial); }) * 1e3);
        std::ranges::sort(all);
        return {.figure = all[all.size() * 99 / 100 == all.size() ? all.size() - 1 : all.size() * 99 / 100], .work = work};
    };
    const auto idle = p99();
    for (const auto& process : greedy)
        home.send(process,
            given.smoke ? "local x = 0 for i = 1, 200000000 do x = x + i end return x"
                        : "local x = 0 for i = 1, 20000000000 do x = x + i end return x");
    system_clock().sleep_ms(1500);  // until they are known to take long
    const auto busy = p99();
    return {bench::in_turn(
        "99th of round trips, others compute without end", "the same on an idle node", "ms", bench::Better::less, 1,
        [&] { return busy; }, [&] { return idle; })};
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    const std::pair<std::string_view, std::vector<bench::Row> (*)(const bench::Arguments&)> all[] = {
        {"fleet", fleet}, {"sleep", asleep}, {"parallel", parallel}, {"replay", replay}, {"fair", fair}};
    if (given.rest.size() == 3 || (given.rest.size() == 6 && given.rest[0] == "fleet"))
        for (const auto& [name, run] : all)
            if (given.rest[0] == name) {
                bench::report(run(given), given.json);
                return 0;
            }
    fmt::print(stderr, "usage: bench_fleet fleet|sleep|parallel|replay|fair ALTIPLANO PROCESS.wasm [--json] [--smoke]\n");
    return 2;
}
