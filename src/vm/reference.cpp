#include "vm/guest.hpp"

#include <fmt/format.h>

#include <algorithm>

// Reference modules: the specification of an extension as wasm, run in the guest's store over the guest's memory.
namespace altiplano::vm {
namespace {

std::unexpected<Stop> broken(std::string_view what, const std::string& why)
{
    return stop(Error{errors::host_engine, fmt::format("a reference module {}: {}", what, why), {}});
}

/// The compiled module, from the engine's keeping or made for it. Not rewritten: it is part of this program, not a guest.
Answer<const wasmtime_module_t*> compiled(Engine::Native& engine, const Digest& hash, Bytes wasm)
{
    const std::lock_guard lock(engine.references_mutex);
    if (const auto found = engine.references.find(hash); found != engine.references.end())
        return found->second.get();
    wasmtime_module_t* raw = nullptr;
    if (const OwnedError e{
            wasmtime_module_new(engine.engine.get(), reinterpret_cast<const std::uint8_t*>(wasm.data()), wasm.size(), &raw)})
        return broken("does not compile", message_of(e.get()));
    return engine.references.emplace(hash, OwnedModule(raw)).first->second.get();
}

}  // namespace

Answer<Value> CallContext::run_announced(const Digest&, Bytes, std::string_view, Value, std::span<const Value>, std::uint64_t)
{
    return broken("cannot run", "there is no machine");
}

Answer<Value> Guest::run_reference(
    const Digest& hash, Bytes wasm, std::string_view function, Value stack_top, std::span<const Value> arguments)
{
    // What it spends is nobody's: the extension's formula was charged before.
    return run_beside(hash, wasm, function, stack_top, arguments, INT64_MAX, false);
}

Answer<Value> Guest::run_announced(const Digest& hash, Bytes wasm, std::string_view function, Value stack_top,
    std::span<const Value> arguments, std::uint64_t fuel)
{
    return run_beside(hash, wasm, function, stack_top, arguments, std::min(fuel, static_cast<std::uint64_t>(INT64_MAX)), true);
}

Answer<Value> Guest::run_beside(const Digest& hash, Bytes wasm, std::string_view function, Value stack_top,
    std::span<const Value> arguments, std::uint64_t fuel, bool announced)
{
    // That follows from the module's bytes, so it is the same everywhere.
    const auto refuse = [&](std::string_view what, const std::string& why) -> std::unexpected<Stop> {
        return announced ? stop(GuestFault{errors::trap_unreachable, fmt::format("a reference module {}", what)})
                         : broken(what, why);
    };
    if (!wasm64())
        return refuse("cannot run", "the guest's memory has 32-bit addresses");
    auto known = references_.find(hash);
    if (known == references_.end()) {
        const auto code = compiled(module_->native().engine->native(), hash, wasm);
        if (!code)
            return announced ? std::unexpected<Stop>(refuse("does not compile", {})) : std::unexpected(code.error());
        constexpr std::string_view memory_name = "altiplano:memory";
        wasmtime_extern_t memory;
        ENSURE(wasmtime_instance_export_get(context(), &instance_, memory_name.data(), memory_name.size(), &memory),
            "the rewriting pass exports the memory");
        wasm_trap_t* trap = nullptr;
        wasmtime_instance_t instance;
        const OwnedError error(wasmtime_instance_new(context(), *code, &memory, 1, &instance, &trap));
        const OwnedTrap owned(trap);
        if (error || owned)
            return refuse("cannot be instantiated", error ? message_of(error.get()) : message_of(owned.get()));
        known = references_.emplace(hash, instance).first;
    }

    auto& instance = known->second;
    wasmtime_extern_t stack_pointer;
    wasmtime_extern_t called;
    constexpr std::string_view stack_name = "__stack_pointer";
    if (!wasmtime_instance_export_get(context(), &instance, stack_name.data(), stack_name.size(), &stack_pointer)
        || stack_pointer.kind != WASMTIME_EXTERN_GLOBAL
        || !wasmtime_instance_export_get(context(), &instance, function.data(), function.size(), &called)
        || called.kind != WASMTIME_EXTERN_FUNC)
        return refuse("lacks an export", fmt::format("{} or {}", stack_name, function));
    const wasmtime_val_t top{.kind = WASMTIME_I64, .of = {.i64 = static_cast<std::int64_t>(stack_top)}};
    if (const OwnedError e{wasmtime_global_set(context(), &stack_pointer.of.global, &top)})
        return refuse("has another stack pointer", message_of(e.get()));

    const auto gas = gas_left();
    if (const OwnedError e{wasmtime_context_set_fuel(context(), fuel)})
        return refuse("gets no fuel", message_of(e.get()));
    wasmtime_val_t values[8];
    ENSURE(arguments.size() <= std::size(values), "no reference function has more");
    std::ranges::transform(arguments, values,
        [](Value v) { return wasmtime_val_t{.kind = WASMTIME_I64, .of = {.i64 = static_cast<std::int64_t>(v)}}; });
    wasmtime_val_t result;
    wasm_trap_t* trap = nullptr;
    OwnedError error(wasmtime_func_call(context(), &called.of.func, values, arguments.size(), &result, 1, &trap));
    OwnedTrap owned(trap);
    if (const OwnedError e{wasmtime_context_set_fuel(context(), gas)})
        return refuse("leaves no fuel", message_of(e.get()));
    if (announced && owned)
        return std::unexpected(stop_of(std::move(error), std::move(owned)));
    if (error || owned)
        return refuse("failed", error ? message_of(error.get()) : message_of(owned.get()));
    return static_cast<Value>(result.of.i64);
}

}  // namespace altiplano::vm
