// `bench handle` and `bench cpu`: AO's aos2_0_6 on our virtual machine and on V8, the same messages, the time inside the module's
// `handle` alone. Ours has gas, bounds checks with Spectre mitigation, one NaN and the tracking of written pages in it; what
// comes after a message (hashes, the result's way to the disk) is in neither. Processor time.
//   bench_handle handle|cpu AOS.wasm "COMMAND OF THE OUTSIDE" [--json] [--smoke]
#include "base/clock.hpp"
#include "base/random.hpp"
#include "handle/lua_cases.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <sstream>

using namespace altiplano;
using bench::must;
using namespace bench::lua;

namespace {

Samples outside(const std::string& command, const Path& messages)
{
    Samples samples;
    std::istringstream lines(bench::output_of(fmt::format("{} '{}'", command, messages.string())));
    std::string name;
    double took_us = 0;
    std::uint64_t work = 0;
    while (lines >> name >> took_us >> work)
        samples[name] = {.figure = took_us / 1e6, .work = work};
    return samples;
}

}  // namespace

int main(int count, char** values)
{
    const auto given = bench::arguments(count, values);
    if (given.rest.size() != 3) {
        fmt::print(stderr, "usage: bench_handle handle|cpu AOS.wasm \"COMMAND OF THE OUTSIDE\" [--json] [--smoke]\n");
        return 2;
    }
    const auto& cases = given.rest[0] == "cpu" ? heavy : trivial;
    const auto sent = messages_of(cases, given.smoke);
    const auto path = std::filesystem::temp_directory_path() / fmt::format("altiplano-bench-{}", system_clock().monotonic_ns());
    std::string lines;
    for (const auto& one : sent)
        lines += fmt::format(R"({{"case":"{}","counted":{},"message":{},"env":{}}})", one.of, one.counted ? 1 : 0, one.json, env)
            + "\n";
    must(write_file(system_files(), path, as_bytes(lines)));

    const auto engine = must(vm::Engine::create());
    const auto cache = must(vm::ModuleCache::open(engine, system_files(), system_random(), {.folder = {}}));
    const auto module = must(cache->compile(
        must(read_file(system_files(), given.rest[1])), *vm::format_named("wasm64-unknown-emscripten-draft_2024_02_15")));

    // One run of either side is all cases, in a fresh process there and on a fresh machine here.
    std::map<std::string, std::vector<double>> ratios, mine, theirs;
    std::map<std::string, std::uint64_t> work, gas;
    for (int turn = 0; turn < (given.smoke ? 1 : 5); ++turn) {
        const auto here = run(module, sent, gas);
        const auto there = outside(given.rest[2], path);
        for (const auto& [name, sample] : here) {
            if (!there.contains(name) || there.at(name).work != sample.work)
                bench::give_up({"bench.other_work", fmt::format("{}: the two sides gave other answers", name), {}});
            mine[name].push_back(sample.figure);
            theirs[name].push_back(there.at(name).figure);
            ratios[name].push_back(there.at(name).figure / sample.figure);
            work[name] = sample.work;
        }
    }
    std::filesystem::remove(path);

    std::vector<bench::Row> rows;
    double logarithms = 0;
    for (const auto& one : cases) {
        const auto messages = given.smoke ? 1 : one.counted;
        rows.push_back({.name = one.name,
            .outside_name = "V8 in ao-loader",
            .ours = bench::median(mine[one.name]) / messages,
            .outside = bench::median(theirs[one.name]) / messages,
            .unit = "s",
            .better = "less",
            .ratio = bench::median(ratios[one.name]),
            .work = std::to_string(work[one.name])});
        logarithms += std::log(rows.back().ratio);
    }
    if (cases.size() > 1)
        rows.push_back({.name = "geometric mean",
            .outside_name = "V8 in ao-loader",
            .ours = 1,
            .outside = std::exp(logarithms / static_cast<double>(cases.size())),
            .unit = "",
            .better = "less",
            .ratio = std::exp(logarithms / static_cast<double>(cases.size())),
            .work = "all of them"});
    bench::report(rows, given.json);
    // How the gas schedule fits this machine (docs/gas.md).
    if (!given.json)
        for (const auto& row : rows)
            if (gas.contains(row.name))
                fmt::print("{:<34} {:>12} gas, {:.3g} ns for each\n", row.name, gas[row.name],
                    row.ours * 1e9 / static_cast<double>(gas[row.name]));
}
