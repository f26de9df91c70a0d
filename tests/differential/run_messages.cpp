// Runs messages on a module as a process of this node would, and says what came out: our side of the differential test.
//   run_messages MODULE.wasm FORMAT MESSAGES.jsonl ENV.json
// One line for each message: the guest's own bytes, or `FAULT code: sentence`; in front `GAS n` for a
// format that meters. A message that fails leaves no trace (5.9).
#include "base/executor.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "compute/outcome.hpp"
#include "vm/machine.hpp"

#include <cstdio>
#include <fmt/format.h>

using namespace altiplano;

namespace {

template <class T> T must(Result<T> result)
{
    if (!result) {
        fmt::print(stderr, "error  {}: {}\n", result.error().code, result.error().sentence);
        std::exit(1);
    }
    return *std::move(result);
}

}  // namespace

int main(int count, char** values)
{
    if (count != 5) {
        fmt::print(stderr, "usage: run_messages MODULE.wasm FORMAT MESSAGES.jsonl ENV.json\n");
        return 2;
    }
    const auto* format = vm::format_named(values[2]);
    if (format == nullptr) {
        fmt::print(stderr, "error  there is no format {}\n", values[2]);
        return 2;
    }
    auto& files = system_files();
    const auto wasm = must(read_file(files, values[1]));
    const auto messages = must(read_file(files, values[3]));
    const auto env = must(read_file(files, values[4]));

    const auto engine = must(vm::Engine::create());
    const auto cache = must(vm::ModuleCache::open(engine, files, system_random(), {.folder = {}}));
    const auto module = must(cache->compile(wasm, *format));
    const auto machine = must(vm::Machine::create(module, {.memory_bytes = vm::Engine::narrow_memory_bytes_max}));
    auto rest = as_text(messages);
    while (!rest.empty()) {
        const auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        const auto began = system_clock().monotonic_ns();
        const auto run = must(machine->handle({.message_json = line,
            .env_json = as_text(env),
            .timestamp_ms = 0,
            .seed = {},
            .gas_limit = std::uint64_t{9'000'000'000'000},
            .files = &vm::no_files(),
            .console = {}}));
        const auto took_us = (system_clock().monotonic_ns() - began) / 1000;
        const bool fault = run.kind == vm::Run::Kind::guest_fault;
        if (run.metered)
            fmt::print("GAS {} ", *run.metered);
        if (fault)
            fmt::print("FAULT {}: {}\n", run.fault_code, run.fault_sentence);
        else
            fmt::print("{}\n", as_text(run.bytes));
        if (!fault && compute::failed(as_text(run.bytes))) {
            if (const auto back = machine->roll_back(); !back)
                return 1;
        } else if (!fault) {
            must(machine->commit());
        }
        fmt::print(stderr, "{} us, gas {}\n", took_us, run.gas_used);
    }
    return 0;
}
