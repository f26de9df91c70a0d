// How `invoke_*` of emscripten calls a table entry, and how a longjmp comes back.
#include "vm/abi/emscripten/emscripten.hpp"
#include "vm/guest.hpp"
#include "vm/raw_value.hpp"
#include "vm/signature.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace altiplano::vm {

namespace {

/// Logical bytes of call depth that going out to the host and in again counts, as a function of the guest would: the
/// native frames between are smaller than three times that (stack.hpp).
constexpr std::uint32_t invoke_weight = 4096;
constexpr std::uint64_t invoke_gas = 50;

struct FreeFunctype {
    void operator()(wasm_functype_t* type) const noexcept { wasm_functype_delete(type); }
};

}  // namespace

/// The function behind a table index, if it has the signature that the import calls it with.
Answer<const wasmtime_func_t*> Guest::table_entry(std::uint64_t index, const BoundImport& bound)
{
    if (index >= entries_.size())
        return stop(GuestFault{errors::trap_table_out_of_bounds, "the guest used a table entry that does not exist"});
    auto& entry = entries_[index];
    if (entry.fits == &bound)
        return &entry.function;
    wasmtime_val_t value;
    if (!wasmtime_table_get(context(), &table_, index, &value) || value.kind != WASMTIME_FUNCREF
        || wasmtime_funcref_is_null(&value.of.funcref))
        return stop(GuestFault{errors::trap_indirect_call, "the guest called an empty table entry"});
    const std::unique_ptr<wasm_functype_t, FreeFunctype> type(wasmtime_func_type(context(), &value.of.funcref));
    if (!has_signature(type.get(), std::span(bound.import->parameters).subspan(1), bound.import->result, wasm64()))
        return stop(GuestFault{errors::trap_indirect_call, "the guest called a function with another signature"});
    entry = {value.of.funcref, &bound};
    return &entry.function;
}

Answer<const wasmtime_func_t*> Guest::entry_call(
    const BoundImport& bound, const wasmtime_val_raw_t* values, wasmtime_val_raw_t* inner)
{
    const auto index = value_of(values[0], ValueType::pointer, wasm64());
    const auto& dyn_call = dyn_calls_[bound.invoke];
    const bool direct = wasmtime_funcref_is_null(&dyn_call);
    std::copy_n(values + 1, bound.import->parameters.size() - 1, direct ? inner : inner + 1);
    if (direct)
        return table_entry(index, bound);
    if (index >= entries_.size())
        return stop(GuestFault{errors::trap_table_out_of_bounds, "the guest used a table entry that does not exist"});
    set_value(inner[0], index);
    return &dyn_call;
}

Answer<void> Guest::invoke_entry(const BoundImport& bound, wasmtime_val_raw_t* values)
{
    if (auto paid = charge(invoke_gas); !paid)
        return paid;
    wasmtime_val_raw_t inner[abi::emscripten::invoke_parameters_max]{};
    auto function = entry_call(bound, values, inner);
    if (!function)
        return std::unexpected(std::move(function).error());
    const auto stack = call(stack_save_, {});
    if (!stack)
        return std::unexpected(stack.error());
    wasmtime_val_t depth;
    wasmtime_global_get(context(), &depth_, &depth);
    wasmtime_val_t deeper = depth;
    deeper.of.i32 = static_cast<std::int32_t>(static_cast<std::uint32_t>(depth.of.i32) + invoke_weight);
    if (static_cast<std::uint32_t>(deeper.of.i32) > altiplano_depth_limit())
        return stop(GuestFault{errors::trap_depth, std::string(depth_sentence)});
    const auto set_depth = [&](const wasmtime_val_t& to) {
        const OwnedError error(wasmtime_global_set(context(), &depth_, &to));
        ENSURE(!error, "the global is ours: a mutable i32");
    };
    set_depth(deeper);

    wasm_trap_t* trap = nullptr;
    OwnedError error(wasmtime_func_call_unchecked(context(), *function, inner, std::size(inner), &trap));
    OwnedTrap owned(trap);
    if (!error && !owned) {
        set_depth(depth);
        if (bound.import->result)
            values[0] = inner[0];
        return {};
    }
    // Everything but a longjmp goes on up, by its reason: the trap's code would not survive every way back.
    if (!longjmp_)
        return std::unexpected(stop_of(std::move(error), std::move(owned), gas_left() == 0));
    longjmp_ = false;
    stopped_.reset();
    set_depth(depth);
    if (auto restored = call(stack_restore_, {*stack}); !restored)
        return std::unexpected(restored.error());
    if (auto threw = call(set_threw_, {1, 0}); !threw)
        return std::unexpected(threw.error());
    if (bound.import->result)
        set_value(values[0], 0);
    return {};
}

wasm_trap_t* Guest::invoke(const BoundImport& bound, wasmtime_val_raw_t* values) noexcept
{
    try {
        auto done = invoke_entry(bound, values);
        if (done)
            return nullptr;
        stopped_ = std::move(done).error();
    } catch (const std::exception& thrown) {
        stopped_ = Error{errors::host_memory, fmt::format("invoke failed: {}", thrown.what()), {}};
    }
    constexpr std::string_view why = "stopped by a host call";
    return wasmtime_trap_new(why.data(), why.size());
}

Answer<Value> Guest::throw_longjmp()
{
    longjmp_ = true;
    return stop(GuestFault{errors::trap_exception, "the guest jumped to a place that nothing holds"});
}

}  // namespace altiplano::vm
