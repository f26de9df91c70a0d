// `bench handle` and `bench cpu`: AO's aos2_0_6 on our virtual machine and on V8, the same messages, the time inside the module's
// `handle` alone. Ours has gas, bounds checks with Spectre mitigation, one NaN and the tracking of written pages in it; what
// comes after a message (hashes, the result's way to the disk) is in neither. Processor time.
//   bench_handle handle|cpu AOS.wasm "COMMAND OF THE OUTSIDE" [--json] [--smoke]
#include "base/json.hpp"
#include "base/random.hpp"
#include "lib/bench.hpp"
#include "vm/machine.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <sstream>

using namespace altiplano;
using bench::must;

namespace {

/// One case: a Lua text with `N` for how often, its answer a whole number.
struct Case {
    std::string name;
    std::string lua;
    std::uint64_t times;
    int warm;  ///< messages before the clock: V8 compiles again what runs often
    int counted;
};

const std::vector<Case> trivial{{"trivial-Eval", "return N + 1", 1, 100, 300}};
const std::vector<Case> heavy{
    {"fib",
        "local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end local s = 0 for i = 1, N do s = s + f(18) "
        "end return s",
        76, 2, 3},
    {"loop", "local s = 0 for i = 1, N do s = s + i % 7 end return s", 5'000'000, 2, 3},
    {"sort",
        "local t, x = {}, 42 for i = 1, N do x = (x * 1103515245 + 12345) % 2147483648 t[i] = x end table.sort(t) return t[N // "
        "2]",
        100'000, 2, 3},
    {"strings", "local n = 0 for i = 1, N do n = n + #(('a' .. i .. 'b'):upper():rep(2):gsub('A', 'xx')) end return n", 50'000, 2,
        3},
    {"pcall", "local n = 0 for i = 1, N do local _, x = pcall(function() return 1 end) n = n + x end return n", 300'000, 2, 3},
    {"errors", "local n = 0 for i = 1, N do if not pcall(error, 'no') then n = n + 1 end end return n", 50'000, 2, 3},
    {"sin", "local s = 0 for i = 1, N do s = s + math.sin(i) end return math.floor(s * 1000)", 500'000, 2, 3},
};

std::string quoted(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text)
        out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
    return out + "\"";
}

const std::string id(43, 'p');
const std::string owner(43, 'o');
const std::string env = fmt::format(
    R"({{"Process":{{"Id":"{0}","Owner":"{1}","Tags":[{{"name":"Data-Protocol","value":"ao"}},{{"name":"Variant","value":"ao.TN.1"}},)"
    R"({{"name":"Type","value":"Process"}}]}},"Module":{{"Id":"{2}","Owner":"{1}","Tags":[]}}}})",
    id, owner, std::string(43, 'm'));

struct Sent {
    std::string of;  ///< the case's name
    bool counted;
    std::string json;
};

/// The messages of a run: the process itself first, or its Owner would stay unset and each Eval land in its inbox.
std::vector<Sent> messages_of(const std::vector<Case>& cases, bool smoke)
{
    std::vector<Sent> sent;
    const auto add = [&](const std::string& of, bool counted, std::string_view tag, std::string_view value,
                         std::string_view data) {
        const auto nonce = sent.size();
        sent.push_back({of, counted,
            fmt::format(
                R"({{"Id":"{}","Target":"{}","Owner":"{}","From":"{}","Data":{},"Tags":[{{"name":"{}","value":"{}"}}],"Module":"{}",)"
                R"("Block-Height":1,"Timestamp":{},"Nonce":{},"Cron":false,"Read-Only":false}})",
                nonce == 0 ? id : fmt::format("{:043}", nonce), id, owner, owner, quoted(data), tag, value, std::string(43, 'm'),
                1'700'000'000'000 + nonce, nonce)});
    };
    add("boot", false, "Type", "Process", "");
    for (const auto& one : cases) {
        auto lua = one.lua;
        const auto times = std::to_string(smoke ? std::max<std::uint64_t>(one.times / 100, 1) : one.times);
        for (auto at = lua.find('N'); at != lua.npos; at = lua.find('N', at + times.size()))
            lua.replace(at, 1, times);
        for (int i = 0; i < (smoke ? 2 : one.warm + one.counted); ++i)
            add(one.name, i >= (smoke ? 1 : one.warm), "Action", "Eval", lua);
    }
    return sent;
}

using Samples = std::map<std::string, bench::Sample>;

Samples ours(
    const std::shared_ptr<const vm::Module>& module, const std::vector<Sent>& sent, std::map<std::string, std::uint64_t>& gas)
{
    const auto machine = must(vm::Machine::create(module, {.memory_bytes = std::uint64_t{1} << 30}));
    Samples samples;
    for (const auto& one : sent) {
        vm::Run run;
        const auto took = bench::thread_seconds(
            [&] { run = must(machine->handle({.message_json = one.json, .env_json = env, .gas_limit = 9'000'000'000'000})); });
        if (run.kind == vm::Run::Kind::guest_fault)
            bench::give_up({"bench.fault", fmt::format("{}: {}", run.fault_code, run.fault_sentence), {}});
        must(machine->commit());
        if (!one.counted)
            continue;
        const auto answer = must(JsonView::parse(as_text(run.bytes)));
        const auto data = answer.find("response")->find("Output")->find("data");
        const auto text = data->find("output") ? data->find("output")->text() : data->text();
        samples[one.of].figure += took;
        samples[one.of].work += std::stoull(*text);
        gas[one.of] = run.gas_used;
    }
    return samples;
}

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
    for (int run = 0; run < (given.smoke ? 1 : 5); ++run) {
        const auto here = ours(module, sent, gas);
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
