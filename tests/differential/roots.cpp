// The same messages on code for lesser processors than this one: the same answers, gas and state roots.
//   roots GUEST.wasm
// Prints each level's hash over all of it; two builds of this program for different processors must print the same as well.
#include "base/hash.hpp"
#include "base/random.hpp"
#include "compute/context.hpp"
#include "cpu_levels.hpp"
#include "lib/bench.hpp"
#include "lib/lone_message.hpp"

#include <fmt/format.h>

using namespace altiplano;
using bench::must;

namespace {

// What meets many instructions: numbers of both kinds and their texts, tables, strings, patterns, hashes, errors, growth.
constexpr std::string_view texts[] = {
    "local s = 0 for i = 1, 20000 do s = s + i % 7 * (i << (i & 31)) end return s",
    "local s = 0 for i = 1, 5000 do s = s + math.sin(i) * math.exp(-i / 500) / math.sqrt(i) end return string.format('%.17g', s)",
    "local s = '' for i = -20, 20 do s = s .. tostring(0.1 * 10.0 ^ i) .. ' ' .. tostring(i / 3) .. ' ' end return s",
    "return tostring(0/0) .. tostring(-(0/0)) .. tostring(1e308 * 10) .. tostring(math.tointeger(2.0^53)) .. (7 // -2) .. (7 % "
    "-2.5)",
    "local t, x = {}, 42 for i = 1, 3000 do x = (x * 1103515245 + 12345) % 2147483648 t[i] = x / 7 end table.sort(t) return "
    "table.concat(t, ',', 1, 50)",
    "local n = 0 for i = 1, 2000 do n = n + #(('a' .. i .. 'b'):upper():rep(3):gsub('[A-F]', '%0%0')) end return n",
    "local n = 0 for i = 1, 500 do if not pcall(error, { i }) then n = n + 1 end end return n",
    "local s = {} for i = 1, 200 do s[i] = string.pack('<dfi8', i / 3, i / 7, i * -12345678901) end return require('crypto')"
    ".digest.sha2_256(table.concat(s)).asHex()",
    "Kept = {} for i = 1, 20000 do Kept[i] = { i / 3, tostring(i) } end return #Kept",
    "local s = 0 for _, one in ipairs(Kept) do s = s + one[1] * #one[2] end return s",
    "return require('json').encode({ 1 / 3, 1e21, -0.0, 123456789012345, 'a\\u{e9}' })",
};

Digest computed(Bytes wasm, const vm::Tuning& tuning)
{
    const auto engine = must(vm::Engine::create(vm::Engine::narrow_reservation_bytes, tuning));
    const auto cache =
        must(vm::ModuleCache::open(engine, system_files(), system_random(), {.folder = {}, .extensions = compute::extensions()}));
    const auto machine = must(vm::Machine::create(must(cache->compile(wasm)), {}));
    Sha256Hasher all;
    std::int64_t nonce = 0;
    const auto run = [&](std::string_view type, std::string_view text) {
        const auto message = bench::lone_message(type, text, nonce++);
        const auto done = must(compute::evaluate(*machine, message.work(100'000'000'000), vm::no_files(), {}));
        if (done.kind == units::SlotResult::Kind::guest_fault)
            bench::give_up({"roots.fault", fmt::format("{}: {}", text, done.output), {}});
        all.update(
            as_bytes(fmt::format("{} {} {} {}\n", static_cast<int>(done.kind), done.output, done.gas, done.state_root.text())));
        return done.output;
    };
    run("Process", "");
    for (const auto text : texts)
        run("Message", text);
    return all.finish();
}

}  // namespace

int main(int count, char** words)
{
    if (count != 2) {
        fmt::print(stderr, "usage: roots GUEST.wasm\n");
        return 2;
    }
    const auto wasm = must(read_file(system_files(), words[1]));
    std::optional<Digest> native;
    bool equal = true;
    for (const auto level : differential::cpu_levels) {
        const auto found = computed(wasm, *differential::tuning_of(level));
        native = native.value_or(found);
        equal = equal && found == *native;
        fmt::print("{:<10} {}\n", level, found.text());
    }
    fmt::print("{}\n", equal ? "equal on all" : "error  they differ");
    return equal ? 0 : 1;
}
