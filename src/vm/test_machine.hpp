#pragma once

#include "vm/errors.hpp"
#include "vm/machine.hpp"
#include "vm/test_engine.hpp"
#include "vm/test_wat.hpp"

#include <gmock/gmock.h>

#include <stdexcept>

/// For tests: machines of guests that are written in WAT.
namespace altiplano::vm::test {

inline ModuleCache& modules()
{
    static const auto one = ModuleCache::open(engine(), system_files(), system_random(), {.folder = {}}).value();
    return *one;
}

inline std::shared_ptr<const Module> module_of(std::string_view text)
{
    auto module = modules().compile(wat(text));
    if (!module)
        throw std::runtime_error(module.error().sentence);
    return *module;
}

inline std::unique_ptr<Machine> machine_of(std::string_view text, Machine::Limits limits = {})
{
    auto machine = Machine::create(module_of(text), limits);
    if (!machine)
        throw std::runtime_error(machine.error().sentence);
    return *std::move(machine);
}

inline constexpr std::uint64_t plenty = 100'000'000'000;

inline Run run(Machine& machine, std::string_view message = "{}", std::uint64_t gas = plenty)
{
    auto done = machine.handle({.message_json = message, .env_json = "{}", .gas_limit = gas});
    if (!done)
        throw std::runtime_error(std::string(done.error().code) + ": " + done.error().sentence);
    return *std::move(done);
}

inline std::string text(const Run& run)
{
    return run.kind == Run::Kind::result ? to_string(run.bytes) : std::string(run.fault_code);
}

inline std::string outcome(std::string_view body, std::string_view more = {}, std::uint64_t gas = plenty)
{
    auto machine = machine_of(guest_wat(body, more));
    return text(run(*machine, "{}", gas));
}

/// Puts a decimal number at address 512 and returns its text's address: $number_text.
inline constexpr std::string_view number_text = R"(
    (func $number_text (param $v i64) (result i64) (local $at i64)
        (local.set $at (i64.const 540))
        (i64.store8 (local.get $at) (i64.const 0))
        (loop $next
            (local.set $at (i64.sub (local.get $at) (i64.const 1)))
            (i64.store8 (local.get $at) (i64.add (i64.const 48) (i64.rem_u (local.get $v) (i64.const 10))))
            (local.set $v (i64.div_u (local.get $v) (i64.const 10)))
            (br_if $next (i64.ne (local.get $v) (i64.const 0))))
        (local.get $at)))";

}  // namespace altiplano::vm::test
