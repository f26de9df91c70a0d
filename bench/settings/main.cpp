// `bench settings`: what each setting of the engine costs or saves, one by one, on AO's aos2_0_6 with the texts of `bench cpu`.
// Outside is our own machine with that one setting changed, so a ratio under 1 is the price of what the setting is for (one
// result everywhere, gas, safety) and one above 1 what it saves. Processor time inside `handle`; compilation by the wall.
//   bench_settings AOS.wasm [--json] [--smoke]
#include "base/clock.hpp"
#include "base/random.hpp"
#include "handle/lua_cases.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sys/mman.h>

using namespace altiplano;
using bench::must;
using namespace bench::lua;

namespace {

struct Setting {
    std::string name;
    vm::Tuning other;
};

const Setting settings[] = {
    {"gas counted / not", {.gas = vm::Tuning::Gas::none}},
    {"gas counted by the module / by the engine", {.gas = vm::Tuning::Gas::by_engine}},
    {"call depth counted / not", {.call_depth = false}},
    {"Spectre mitigation on / off",
        {.code = {{"enable_heap_access_spectre_mitigation", "false"}, {"enable_table_access_spectre_mitigation", "false"}}}},
    {"one NaN / the CPU's", {.one_nan = false}},
    {"addresses of 32 bits / of 64, compared", {.narrowed = false}},
    {"addresses of 32 bits / of 64, compared with constants",
        {.assumed_bytes = vm::Engine::small_reservation_bytes, .narrowed = false}},
    {"addresses of 32 bits / of 64, compared, Spectre mitigation off",
        {.code = {{"enable_heap_access_spectre_mitigation", "false"}, {"enable_table_access_spectre_mitigation", "false"}},
            .narrowed = false}},
    {"optimised code / not", {.optimised = false}},
    {"functions not inlined / inlined", {.inlined = true}},
};

const vm::Format& aos_format()
{
    return *vm::format_named("wasm64-unknown-emscripten-draft_2024_02_15");
}

std::shared_ptr<const vm::Module> compile(Bytes wasm, const vm::Tuning& tuning = {}, Path folder = {})
{
    const auto engine = must(vm::Engine::create(vm::Engine::narrow_reservation_bytes, tuning));
    const auto cache = must(vm::ModuleCache::open(engine, system_files(), system_random(), {.folder = std::move(folder)}));
    return must(cache->compile(wasm, aos_format()));
}

/// The geometric mean over all cases of what the other needs for what we need.
bench::Row measured(
    const Setting& setting, Bytes wasm, const std::shared_ptr<const vm::Module>& ours, const std::vector<Sent>& sent, int turns)
{
    const auto theirs = compile(wasm, setting.other);
    std::map<std::string, std::vector<double>> ratios;
    std::uint64_t work = 0;
    for (int turn = 0; turn < turns; ++turn) {
        std::map<std::string, std::uint64_t> gas;
        const auto here = run(ours, sent, gas);
        const auto there = run(theirs, sent, gas);
        work = 0;
        for (const auto& [name, sample] : here) {
            if (there.at(name).work != sample.work)
                bench::give_up({"bench.other_work", fmt::format("{}: {} gives another answer", setting.name, name), {}});
            ratios[name].push_back(there.at(name).figure / sample.figure);
            work += sample.work;
        }
    }
    double logarithms = 0;
    for (const auto& [name, all] : ratios)
        logarithms += std::log(bench::median(all));
    const auto ratio = std::exp(logarithms / static_cast<double>(ratios.size()));
    return {.name = setting.name,
        .outside_name = "one setting changed",
        .ours = 1,
        .outside = ratio,
        .unit = "",
        .better = "less",
        .ratio = ratio,
        .work = std::to_string(work)};
}

/// A trivial Eval, both machines in turns of some messages each. What else runs on this machine only ever makes a turn longer, so
/// the first quarter of each is compared.
bench::Row measured_eval(const Setting& setting, Bytes wasm, const std::shared_ptr<const vm::Module>& ours, int turns, int each)
{
    const std::vector<Case> cases{{"Eval", "return N + 1", 1, 0, turns * each}};
    const auto sent = messages_of(cases, false);
    const std::shared_ptr<const vm::Module> modules[] = {ours, compile(wasm, setting.other)};
    std::unique_ptr<vm::Machine> machines[2];
    std::vector<double> times[2];
    std::uint64_t work[2] = {};
    for (std::size_t at = 0; at < sent.size();) {
        const auto end = at == 0 ? 1 : std::min(at + static_cast<std::size_t>(each), sent.size());
        for (const int side : {0, 1}) {
            auto& machine = machines[side];
            if (!machine)
                machine = must(vm::Machine::create(modules[side], {.memory_bytes = std::uint64_t{1} << 30}));
            double took = 0;
            for (auto i = at; i < end; ++i) {
                const auto [done, seconds] = answered(*machine, sent[i]);
                took += seconds;
                work[side] += done.bytes.size();
            }
            if (at > 0)
                times[side].push_back(took / static_cast<double>(end - at));
        }
        at = end;
    }
    if (work[0] != work[1])
        bench::give_up({"bench.other_work", setting.name + ": a trivial Eval gives another answer", {}});
    for (auto& all : times)
        std::ranges::sort(all);
    const auto quarter = times[0].size() / 4;
    return {.name = setting.name + ": trivial Eval",
        .outside_name = "one setting changed",
        .ours = times[0][quarter] * 1000,
        .outside = times[1][quarter] * 1000,
        .unit = "ms",
        .better = "less",
        .ratio = times[1][quarter] / times[0][quarter],
        .work = std::to_string(work[0])};
}

std::uint64_t memory_of(const std::shared_ptr<const vm::Module>& module)
{
    return module->memory_bytes_min();
}

/// Reads all over a memory, as a guest with a large heap does: what huge pages could save where nothing but reading happens.
bench::Sample walk(std::uint64_t bytes, int advice, int reads)
{
    auto* const memory = static_cast<std::uint64_t*>(
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (memory == MAP_FAILED)
        bench::give_up({"bench.memory", "no memory to walk over", {}});
    (void)madvise(memory, bytes, advice);  // a kernel without huge pages measures the same twice
    const auto words = bytes / sizeof(std::uint64_t);
    for (std::uint64_t i = 0; i < words; ++i)
        memory[i] = i * 0x9e3779b97f4a7c15;
    std::uint64_t at = 0, sum = 0;
    const auto took = bench::thread_seconds([&] {
        for (int i = 0; i < reads; ++i) {
            sum += memory[at];
            at = (at * 6364136223846793005 + memory[at] + 1442695040888963407) % words;
        }
    });
    munmap(memory, bytes);
    return {.figure = took, .work = sum};
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values, "AOS.wasm");
    const auto wasm = must(read_file(system_files(), given.rest[0]));
    const auto sent = messages_of(heavy, given.smoke);
    const auto turns = given.smoke ? 1 : 3;
    const auto ours = compile(wasm);
    std::vector<bench::Row> rows;
    for (const auto& setting : settings) {
        rows.push_back(measured(setting, wasm, ours, sent, turns));
        rows.push_back(measured_eval(setting, wasm, ours, given.smoke ? 4 : 40, given.smoke ? 1 : 40));
    }

    const auto compiling = [&](const vm::Tuning& tuning) -> bench::Sample {
        std::uint64_t work = 0;
        const auto took = bench::seconds([&] { work = memory_of(compile(wasm, tuning)); });
        return {.figure = took, .work = work};
    };
    const auto compile_turns = given.smoke ? 1 : 3;
    rows.push_back(bench::in_turn(
        "compiled by all cores / by one", "one thread", "s", bench::Better::less, compile_turns, [&] { return compiling({}); },
        [&] { return compiling({.parallel = false}); }));
    rows.push_back(bench::in_turn(
        "compiled optimised / not", "no optimiser", "s", bench::Better::less, compile_turns, [&] { return compiling({}); },
        [&] { return compiling({.optimised = false}); }));
    const auto folder = std::filesystem::temp_directory_path() / fmt::format("altiplano-bench-{}", system_clock().monotonic_ns());
    (void)compile(wasm, {}, folder);
    rows.push_back(bench::in_turn(
        "code from the cache / compiled", "the compiler", "s", bench::Better::less, compile_turns,
        [&]() -> bench::Sample {
            std::uint64_t work = 0;
            const auto took = bench::seconds([&] { work = memory_of(compile(wasm, {}, folder)); });
            return {.figure = took, .work = work};
        },
        [&] { return compiling({}); }));
    std::filesystem::remove_all(folder);

    const auto bytes = std::uint64_t{given.smoke ? 16U : 1024U} << 20;
    const auto reads = given.smoke ? 100'000 : 10'000'000;
    rows.push_back(bench::in_turn(
        "pages of 4 KiB / huge ones", "huge pages", "s", bench::Better::less, turns,
        [&] { return walk(bytes, MADV_NOHUGEPAGE, reads); }, [&] { return walk(bytes, MADV_HUGEPAGE, reads); }));
    bench::report(rows, given.json);
}
