#include "vm/guest.hpp"

#include <fmt/format.h>

#include <algorithm>

// Reference modules: the specification of an extension as wasm, run over the guest's memory: somebody else's in the guest's
// store, our own in one of another engine, whose code counts no gas and leaves NaNs as they are. Their work is bounded by what
// they check first, and no bit of a NaN is ever a result of theirs.
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
Answer<const wasmtime_module_t*> compiled(Engine::Native& engine, const Digest& hash, Bytes wasm, bool announced)
{
    const std::lock_guard lock(engine.references_mutex);
    auto& references = announced ? engine.references : engine.own_references;
    if (const auto found = references.find(hash); found != references.end())
        return found->second.get();
    if (!announced && !engine.own_engine) {
        auto tuning = engine.tuning;
        tuning.gas = Tuning::Gas::none;
        tuning.one_nan = false;
        tuning.code.emplace_back("enable_heap_access_spectre_mitigation", "false");  // no stranger's code is in there
        engine.own_engine.reset(wasm_engine_new_with_config(settings(tuning)));
    }
    auto* const compiler = announced ? engine.engine.get() : engine.own_engine.get();
    if (compiler == nullptr)
        return broken("has no engine", "Wasmtime refused our settings");
    const Rewritten rewritten(
        wasm, ALTIPLANO_REFERENCE, announced ? gas_of(engine.tuning) : ALTIPLANO_GAS_BY_NOBODY, engine.narrows());
    const auto bytes = rewritten.bytes();
    if (!bytes)
        return broken("is refused", bytes.error().sentence);
    wasmtime_module_t* raw = nullptr;
    if (const OwnedError e{
            wasmtime_module_new(compiler, reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size(), &raw)})
        return broken("does not compile", message_of(e.get()));
    return references.emplace(hash, OwnedModule(raw)).first->second.get();
}

/// What the rewriting pass imports, for the reference modules that write in bulk or grow.
const BoundImport& bound_by_name(std::string_view name)
{
    static const auto bind = [](const HostFunction& function) {
        BoundImport made;
        made.function = &function;
        made.import = &function.import;
        made.wasm64 = true;
        return made;
    };
    static const BoundImport check_write = bind(check_write_function());
    static const BoundImport refuse_growth = bind(refuse_growth_function());
    return name == refuse_growth.import->name ? refuse_growth : check_write;
}

}  // namespace

Result<Buffer> rewrite_reference(Bytes wasm)
{
    const Rewritten rewritten(wasm, ALTIPLANO_REFERENCE, ALTIPLANO_GAS_BY_MODULE, false);
    TRY(const auto bytes, rewritten.bytes());
    return to_buffer(bytes);
}

void prepare_reference(Engine& engine, const Digest& hash, Bytes wasm)
{
    (void)compiled(engine.native(), hash, wasm, true).has_value();
}

Answer<Value> CallContext::run_announced(const Digest&, Bytes, std::string_view, Value, std::span<const Value>, std::uint64_t)
{
    return broken("cannot run", "there is no machine");
}

Answer<Value> Guest::run_reference(
    const Digest& hash, Bytes wasm, std::string_view function, Value stack_top, std::span<const Value> arguments)
{
    return run_beside(hash, wasm, function, stack_top, arguments, 0, false);
}

Answer<Value> Guest::run_announced(const Digest& hash, Bytes wasm, std::string_view function, Value stack_top,
    std::span<const Value> arguments, std::uint64_t gas)
{
    return run_beside(hash, wasm, function, stack_top, arguments, gas, true);
}

/// An instance over this memory, or why there is none.
std::expected<Guest::Reference, std::string> Guest::reference_of(const wasmtime_module_t* code, bool announced)
{
    auto memory = exported("altiplano:memory");
    ENSURE(memory, "the rewriting pass exports the memory");
    Reference made;
    made.context = context();
    made.memory_bytes = region_.bytes().size();
    if (!announced) {
        auto* const engine = module_->native().engine->native().own_engine.get();
        made.store.reset(wasmtime_store_new(engine, this, nullptr));
        if (!made.store)
            return std::unexpected("Wasmtime gave no store");
        made.context = wasmtime_store_context(made.store.get());
        // The same bytes once more, as long as they are now. Memories of modules come from us, those that a host makes do not.
        const std::unique_ptr<wasm_memorytype_t, FreeWith<wasm_memorytype_delete>> of_guest(
            wasmtime_memory_type(context(), &memory->of.memory));
        std::uint64_t most = 0;
        const bool has_most = wasmtime_memorytype_maximum(of_guest.get(), &most);
        const auto wat =
            fmt::format("(module (memory (export \"m\") {} {} {}))", wasmtime_memorytype_is64(of_guest.get()) ? "i64" : "i32",
                made.memory_bytes / wasm_page_bytes, has_most ? fmt::format("{}", most) : std::string());
        OwnedBytes holder;
        wasmtime_module_t* raw = nullptr;
        wasmtime_instance_t instance;
        wasm_trap_t* trap = nullptr;
        OwnedError error(wasmtime_wat2wasm(wat.data(), wat.size(), &holder.vec));
        if (!error)
            error.reset(
                wasmtime_module_new(engine, reinterpret_cast<const std::uint8_t*>(holder.vec.data), holder.vec.size, &raw));
        const OwnedModule module(raw);
        const OfferMemory offer(*this);
        if (!error)
            error.reset(wasmtime_instance_new(made.context, raw, nullptr, 0, &instance, &trap));
        const OwnedTrap owned(trap);
        if (error || owned || !wasmtime_instance_export_get(made.context, &instance, "m", 1, &*memory))
            return std::unexpected(error ? message_of(error.get()) : std::string("its memory cannot be shown once more"));
        ENSURE(wasmtime_memory_data(made.context, &memory->of.memory)
                == reinterpret_cast<const std::uint8_t*>(region_.bytes().data()),
            "the engine takes memory from us");
    }
    // The memory first: what the rewriting pass adds comes last.
    std::vector<wasmtime_extern_t> imports{*memory};
    wasm_importtype_vec_t types{};
    wasmtime_module_imports(code, &types);
    for (std::size_t i = 1; i < types.size; ++i) {
        const auto* name = wasm_importtype_name(types.data[i]);
        wasmtime_extern_t ours{.kind = WASMTIME_EXTERN_FUNC, .of = {}};
        wasmtime_func_new_unchecked(made.context, wasm_externtype_as_functype_const(wasm_importtype_type(types.data[i])),
            call_import, const_cast<BoundImport*>(&bound_by_name({name->data, name->size})), nullptr, &ours.of.func);
        imports.push_back(ours);
    }
    wasm_importtype_vec_delete(&types);

    wasm_trap_t* trap = nullptr;
    const OwnedError error(wasmtime_instance_new(made.context, code, imports.data(), imports.size(), &made.instance, &trap));
    const OwnedTrap owned(trap);
    if (error || owned)
        return std::unexpected(error ? message_of(error.get()) : message_of(owned.get()));
    char* name = nullptr;
    std::size_t length = 0;
    wasmtime_extern_t found;
    for (std::size_t i = 0; wasmtime_instance_export_nth(made.context, &made.instance, i, &name, &length, &found); ++i) {
        const std::string_view text(name, length);
        if (text == "altiplano:depth") {
            made.depth = found.of.global;
        } else if (text == "altiplano:mapped") {
            made.mapped = found.of.global;
        } else if (text == "altiplano:gas") {
            made.gas = found.of.global;
        } else if (text.starts_with("altiplano:global:")) {
            wasmtime_val_t value;
            wasmtime_global_get(made.context, &found.of.global, &value);
            made.globals.emplace_back(found.of.global, value);
        }
    }
    return made;
}

Answer<Value> Guest::run_beside(const Digest& hash, Bytes wasm, std::string_view function, Value stack_top,
    std::span<const Value> arguments, std::uint64_t gas, bool announced)
{
    // That follows from the module's bytes, so it is the same everywhere.
    const auto refuse = [&](std::string_view what, const std::string& why) -> std::unexpected<Stop> {
        return announced ? stop(GuestFault{errors::trap_unreachable, fmt::format("a reference module {}", what)})
                         : broken(what, why);
    };
    if (!wasm64())
        return refuse("cannot run", "the guest's memory has 32-bit addresses");
    auto known = references_.find({announced, hash});
    // Another store does not notice when the guest's memory grows.
    if (known != references_.end() && !announced && known->second.memory_bytes != region_.bytes().size()) {
        references_.erase(known);
        known = references_.end();
    }
    if (known == references_.end()) {
        const auto code = compiled(module_->native().engine->native(), hash, wasm, announced);
        if (!code)
            return announced ? std::unexpected<Stop>(refuse("does not compile", {})) : std::unexpected(code.error());
        auto made = reference_of(*code, announced);
        if (!made)
            return refuse("cannot be instantiated", made.error());
        known = references_.emplace(std::pair(announced, hash), *std::move(made)).first;
    }

    // As it was when it was new: what its globals kept from an earlier call would differ between a warm machine and a restored
    // one.
    auto& instance = known->second.instance;
    auto* const where = known->second.context;
    for (const auto& [global, value] : known->second.globals)
        if (const OwnedError e{wasmtime_global_set(where, &global, &value)})
            return refuse("has a global that cannot be set", message_of(e.get()));
    const wasmtime_val_t start{
        .kind = WASMTIME_I32, .of = {.i32 = static_cast<std::int32_t>(altiplano_depth_limit() - reference_depth_bytes)}};
    const wasmtime_val_t mapped{.kind = WASMTIME_I32, .of = {.i32 = region_.mapped_ranges().empty() ? 0 : 1}};
    for (const auto& [global, value] : {std::pair{&known->second.depth, &start}, {&known->second.mapped, &mapped}}) {
        const OwnedError error(wasmtime_global_set(where, global, value));
        ENSURE(!error, "the globals are ours: mutable i32");
    }
    wasmtime_extern_t stack_pointer;
    wasmtime_extern_t called;
    constexpr std::string_view stack_name = "__stack_pointer";
    if (!wasmtime_instance_export_get(where, &instance, stack_name.data(), stack_name.size(), &stack_pointer)
        || stack_pointer.kind != WASMTIME_EXTERN_GLOBAL
        || !wasmtime_instance_export_get(where, &instance, function.data(), function.size(), &called)
        || called.kind != WASMTIME_EXTERN_FUNC)
        return refuse("lacks an export", fmt::format("{} or {}", stack_name, function));
    const wasmtime_val_t top{.kind = WASMTIME_I64, .of = {.i64 = static_cast<std::int64_t>(stack_top)}};
    if (const OwnedError e{wasmtime_global_set(where, &stack_pointer.of.global, &top)})
        return refuse("has another stack pointer", message_of(e.get()));

    // The module counts in a global of its own; the engine would count in the guest's store.
    const bool shared = announced && counting() == Tuning::Gas::by_engine;
    const auto left = shared ? gas_left() : 0;
    if (announced)
        if (auto set = set_gas(known->second.gas, gas); !set)
            return std::unexpected(std::move(set).error());
    wasmtime_val_t values[8];
    ENSURE(arguments.size() <= std::size(values), "no reference function has more");
    std::ranges::transform(arguments, values,
        [](Value v) { return wasmtime_val_t{.kind = WASMTIME_I64, .of = {.i64 = static_cast<std::int64_t>(v)}}; });
    wasmtime_val_t result;
    wasm_trap_t* trap = nullptr;
    OwnedError error(wasmtime_func_call(where, &called.of.func, values, arguments.size(), &result, 1, &trap));
    OwnedTrap owned(trap);
    const bool used_up = announced && gas_left(known->second.gas) == 0;
    if (shared)
        if (auto set = set_gas(left); !set)
            return std::unexpected(std::move(set).error());
    if (announced && owned)
        return std::unexpected(stop_of(std::move(error), std::move(owned), used_up));
    if (error || owned)
        return refuse("failed", error ? message_of(error.get()) : message_of(owned.get()));
    return static_cast<Value>(result.of.i64);
}

}  // namespace altiplano::vm
