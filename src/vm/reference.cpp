#include "vm/guest.hpp"

#include <fmt/format.h>

#include <algorithm>

// Reference modules: the specification of an extension as wasm, run in the guest's store over the guest's memory.
namespace altiplano::vm {
namespace {

/// Logical bytes of frames that a reference module may have open, however deep its guest is: so an accelerator, which does not
/// see the guest's depth, answers the same. The native stack has room for both (stack.hpp).
constexpr std::uint32_t reference_depth_bytes = 8 << 20;

std::unexpected<Stop> broken(std::string_view what, const std::string& why)
{
    return stop(Error{errors::host_engine, fmt::format("a reference module {}: {}", what, why), {}});
}

/// The rewritten and compiled module, from the engine's keeping or made for it.
Answer<const wasmtime_module_t*> compiled(Engine::Native& engine, const Digest& hash, Bytes wasm)
{
    const std::lock_guard lock(engine.references_mutex);
    if (const auto found = engine.references.find(hash); found != engine.references.end())
        return found->second.get();
    const auto rewritten = rewrite_reference(wasm);
    if (!rewritten)
        return broken("is refused", rewritten.error().sentence);
    wasmtime_module_t* raw = nullptr;
    if (const OwnedError e{wasmtime_module_new(
            engine.engine.get(), reinterpret_cast<const std::uint8_t*>(rewritten->data()), rewritten->size(), &raw)})
        return broken("does not compile", message_of(e.get()));
    return engine.references.emplace(hash, OwnedModule(raw)).first->second.get();
}

/// `altiplano.check_write`, for the reference modules that write in bulk.
const BoundImport& bound_check_write()
{
    static const auto bound = [] {
        BoundImport made;
        made.function = &check_write_function();
        made.import = &made.function->import;
        made.wasm64 = true;
        return made;
    }();
    return bound;
}

}  // namespace

Result<Buffer> rewrite_reference(Bytes wasm)
{
    altiplano_rewritten raw{};
    altiplano_rewrite_reference(reinterpret_cast<const std::uint8_t*>(wasm.data()), wasm.size(), &raw);
    const auto text = [](const std::uint8_t* at, std::size_t size) {
        return std::string(reinterpret_cast<const char*>(at), size);
    };
    auto made = raw.code == nullptr ? Result<Buffer>(to_buffer(text(raw.bytes, raw.bytes_length)))
                                    : Result<Buffer>(fail(raw.code, text(raw.sentence, raw.sentence_length)));
    altiplano_rewritten_free(&raw);
    return made;
}

void prepare_reference(Engine& engine, const Digest& hash, Bytes wasm)
{
    (void)compiled(engine.native(), hash, wasm).has_value();
}

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

/// An instance over this memory, or why there is none.
std::expected<Guest::Reference, std::string> Guest::reference_of(const wasmtime_module_t* code)
{
    const auto memory = exported("altiplano:memory");
    ENSURE(memory, "the rewriting pass exports the memory");
    // The memory first: what the rewriting pass adds comes last.
    std::vector<wasmtime_extern_t> imports{*memory};
    wasm_importtype_vec_t types{};
    wasmtime_module_imports(code, &types);
    if (types.size > 1) {
        wasmtime_extern_t check{.kind = WASMTIME_EXTERN_FUNC, .of = {}};
        wasmtime_func_new_unchecked(context(), wasm_externtype_as_functype_const(wasm_importtype_type(types.data[1])),
            call_import, const_cast<BoundImport*>(&bound_check_write()), nullptr, &check.of.func);
        imports.push_back(check);
    }
    wasm_importtype_vec_delete(&types);

    Reference made;
    wasm_trap_t* trap = nullptr;
    const OwnedError error(wasmtime_instance_new(context(), code, imports.data(), imports.size(), &made.instance, &trap));
    const OwnedTrap owned(trap);
    if (error || owned)
        return std::unexpected(error ? message_of(error.get()) : message_of(owned.get()));
    char* name = nullptr;
    std::size_t length = 0;
    wasmtime_extern_t found;
    for (std::size_t i = 0; wasmtime_instance_export_nth(context(), &made.instance, i, &name, &length, &found); ++i) {
        const std::string_view text(name, length);
        if (text == "altiplano:depth") {
            made.depth = found.of.global;
        } else if (text == "altiplano:mapped") {
            made.mapped = found.of.global;
        } else if (text.starts_with("altiplano:global:")) {
            wasmtime_val_t value;
            wasmtime_global_get(context(), &found.of.global, &value);
            made.globals.emplace_back(found.of.global, value);
        }
    }
    return made;
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
        auto made = reference_of(*code);
        if (!made)
            return refuse("cannot be instantiated", made.error());
        known = references_.emplace(hash, *std::move(made)).first;
    }

    // As it was when it was new: what its globals kept from an earlier call would differ between a warm machine and a restored
    // one.
    auto& instance = known->second.instance;
    for (const auto& [global, value] : known->second.globals)
        if (const OwnedError e{wasmtime_global_set(context(), &global, &value)})
            return refuse("has a global that cannot be set", message_of(e.get()));
    const wasmtime_val_t start{
        .kind = WASMTIME_I32, .of = {.i32 = static_cast<std::int32_t>(altiplano_depth_limit() - reference_depth_bytes)}};
    const wasmtime_val_t mapped{.kind = WASMTIME_I32, .of = {.i32 = region_.mapped_ranges().empty() ? 0 : 1}};
    for (const auto& [global, value] : {std::pair{&known->second.depth, &start}, {&known->second.mapped, &mapped}}) {
        const OwnedError error(wasmtime_global_set(context(), global, value));
        ENSURE(!error, "the globals are ours: mutable i32");
    }
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
