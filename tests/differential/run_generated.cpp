// Runs generated modules (smith/) on our virtual machine, rewriting pass and all: our side of the second differential test.
//   run_generated FOLDER FIRST COUNT [GAS] [CPU]
// With GAS, what each message may spend: for hostile modules, whose endless loops nothing else ends.
// With CPU (cpu_levels.hpp), how the code is generated; then gas stands behind each answer, and the state root ends the line.
//
// One line for each module that is there: its seed, then for each of six messages what the guest answered, or the trap it
// ended with, or why the module was refused. A host fault ends the program: it is never an answer.
#include "base/random.hpp"
#include "cpu_levels.hpp"
#include "vm/machine.hpp"

#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>

using namespace altiplano;

namespace {

constexpr int messages = 6;

[[noreturn]] void give_up(const std::string& seed, const Error& error)
{
    fmt::print(stderr, "error  module {}: {} ({})\n", seed, error.sentence, error.code);
    std::exit(1);
}

std::string answers_of(vm::ModuleCache& cache, const std::string& seed, Bytes wasm, std::uint64_t gas, bool with_root)
{
    // The memory section says how wide it is; a module of the other width is refused by its name.
    auto module = cache.compile(wasm, *vm::format_named("wasm64-wasi-altiplano_1"));
    if (!module && module.error().code == "module.bad_format")
        module = cache.compile(wasm, *vm::format_named("wasm32-wasi-altiplano_1"));
    if (!module)
        return fmt::format(" refused {}", module.error().code);
    auto machine = vm::Machine::create(*module, {});
    if (!machine && machine.error().code == "module.constructors_failed")
        return " start";
    if (!machine && machine.error().code == "vm.memory_over_limit")
        return " refused vm.memory_over_limit";
    if (!machine)
        give_up(seed, machine.error());
    const auto root_of = [&](const vm::Machine& one) { return with_root ? " " + one.root().text() : std::string(); };
    std::string line;
    for (int message = 0; message < messages; ++message) {
        const auto text = fmt::format("{:08d} message", message);
        const auto run = (*machine)->handle({.message_json = text, .env_json = "{}", .gas_limit = gas});
        if (!run)
            give_up(seed, run.error());
        if (run->kind == vm::Run::Kind::guest_fault)
            return line + " " + std::string(run->fault_code) + root_of(**machine);
        line += " " + to_string(run->bytes);
        if (with_root)
            line += fmt::format(" {}", run->gas_used);
        if (const auto root = (*machine)->commit(); !root)
            give_up(seed, root.error());
    }
    return line + root_of(**machine);
}

}  // namespace

int main(int count, char** words)
{
    const auto tuning = differential::tuning_of(count > 5 ? words[5] : "native");
    if (count < 4 || count > 6 || !tuning) {
        fmt::print(stderr, "usage: run_generated FOLDER FIRST COUNT [GAS] [native|no-avx512|no-avx|baseline|fuel|wide]\n");
        return 2;
    }
    const auto engine = vm::Engine::create(vm::Engine::narrow_reservation_bytes, *tuning);
    if (!engine)
        give_up("(none)", engine.error());
    const auto cache = vm::ModuleCache::open(*engine, system_files(), system_random(), {.folder = {}});
    if (!cache)
        give_up("(none)", cache.error());
    const auto first = std::strtoull(words[2], nullptr, 10);
    const auto gas = count > 4 ? std::strtoull(words[4], nullptr, 10) : std::uint64_t{1} << 40;
    for (auto seed = first; seed < first + std::strtoull(words[3], nullptr, 10); ++seed)
        if (const auto wasm = read_file(system_files(), Path(words[1]) / fmt::format("{}.wasm", seed)))
            fmt::print("{}{}\n", seed, answers_of(**cache, std::to_string(seed), *wasm, gas, count > 5));
    return 0;
}
