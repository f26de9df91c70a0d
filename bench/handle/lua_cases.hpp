#pragma once

#include "base/json.hpp"
#include "lib/bench.hpp"
#include "vm/machine.hpp"

#include <fmt/format.h>
#include <map>
#include <utility>

/// What Lua does most, as messages for AO's aos2_0_6.
namespace altiplano::bench::lua {

/// One case: a Lua text with `N` for how often, its answer a whole number.
struct Case {
    std::string name;
    std::string lua;
    std::uint64_t times;
    int warm;  ///< messages before the clock: V8 compiles again what runs often
    int counted;
};

inline const std::vector<Case> trivial{{"trivial-Eval", "return N + 1", 1, 100, 300}};
inline const std::vector<Case> heavy{
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

inline std::string quoted(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text)
        out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
    return out + "\"";
}

inline const std::string id(43, 'p');
inline const std::string owner(43, 'o');
inline const std::string env = fmt::format(
    R"({{"Process":{{"Id":"{0}","Owner":"{1}","Tags":[{{"name":"Data-Protocol","value":"ao"}},{{"name":"Variant","value":"ao.TN.1"}},)"
    R"({{"name":"Type","value":"Process"}}]}},"Module":{{"Id":"{2}","Owner":"{1}","Tags":[]}}}})",
    id, owner, std::string(43, 'm'));

struct Sent {
    std::string of;  ///< the case's name
    bool counted;
    std::string json;
};

/// The messages of a run: the process itself first, or its Owner would stay unset and each Eval land in its inbox.
inline std::vector<Sent> messages_of(const std::vector<Case>& cases, bool smoke)
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

/// One message and its commit. @return the answer, and the processor time inside `handle` alone, in seconds
inline std::pair<vm::Run, double> answered(vm::Machine& machine, const Sent& sent)
{
    vm::Run done;
    const auto took = bench::thread_seconds(
        [&] { done = must(machine.handle({.message_json = sent.json, .env_json = env, .gas_limit = 9'000'000'000'000})); });
    if (done.kind == vm::Run::Kind::guest_fault)
        bench::give_up({"bench.fault", fmt::format("{}: {}", done.fault_code, done.fault_sentence), {}});
    must(machine.commit());
    return {std::move(done), took};
}

/// All of them on a fresh machine, processor time inside `handle` alone. @param gas  of the last message of each case
inline Samples run(
    const std::shared_ptr<const vm::Module>& module, const std::vector<Sent>& sent, std::map<std::string, std::uint64_t>& gas)
{
    const auto machine = must(vm::Machine::create(module, {.memory_bytes = std::uint64_t{1} << 30}));
    Samples samples;
    for (const auto& one : sent) {
        const auto [done, took] = answered(*machine, one);
        if (!one.counted)
            continue;
        const auto answer = must(JsonView::parse(as_text(done.bytes)));
        const auto data = answer.find("response")->find("Output")->find("data");
        const auto text = data->find("output") ? data->find("output")->text() : data->text();
        samples[one.of].figure += took;
        samples[one.of].work += std::stoull(*text);
        gas[one.of] = done.gas_used;
    }
    return samples;
}

}  // namespace altiplano::bench::lua
