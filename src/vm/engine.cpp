// Uses mmap for the engine's GC heap: Wasmtime asks its memory creator for that as well.

#include "vm/engine.hpp"

#include "base/hash.hpp"
#include "memory/region.hpp"
#include "vm/fault_address.hpp"
#include "vm/native.hpp"
#include "vm/stack.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <sys/auxv.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace altiplano::vm {
namespace {

thread_local MemorySource* offered = nullptr;

// ---- guest memory: ours

std::uint8_t* get_guest_memory(void* env, std::size_t* length, std::size_t* capacity) noexcept
{
    auto& source = *static_cast<MemorySource*>(env);
    *length = source.length();
    *capacity = source.capacity();
    return reinterpret_cast<std::uint8_t*>(source.base());
}

wasmtime_error_t* grow_guest_memory(void* env, std::size_t length) noexcept
{
    return static_cast<MemorySource*>(env)->grow(length) ? nullptr : wasmtime_error_new("the process's Memory-Limit");
}

// ---- the GC heap: plain anonymous memory, never part of a state

struct GcHeap {
    std::uint8_t* base;
    std::size_t length;
    std::size_t capacity;
    std::size_t mapped;
};

std::uint8_t* get_gc_heap(void* env, std::size_t* length, std::size_t* capacity) noexcept
{
    const auto& heap = *static_cast<GcHeap*>(env);
    *length = heap.length;
    *capacity = heap.capacity;
    return heap.base;
}

wasmtime_error_t* grow_gc_heap(void* env, std::size_t length) noexcept
{
    auto& heap = *static_cast<GcHeap*>(env);
    if (length > heap.capacity || mprotect(heap.base, length, PROT_READ | PROT_WRITE) != 0)
        return wasmtime_error_new("the heap for exceptions is full");
    heap.length = length;
    return nullptr;
}

void free_gc_heap(void* env) noexcept
{
    const std::unique_ptr<GcHeap> heap(static_cast<GcHeap*>(env));
    munmap(heap->base, heap->mapped);
}

wasmtime_error_t* new_memory(void*, const wasm_memorytype_t*, std::size_t minimum, std::size_t, std::size_t reserved,
    std::size_t guard, wasmtime_linear_memory_t* out) noexcept
{
    if (reserved != gc_reservation_bytes) {
        if (offered == nullptr)
            return wasmtime_error_new("no memory was offered for this instance");
        if (offered->length() < minimum)
            return wasmtime_error_new("the memory offered is shorter than the module's minimum");
        *out = {offered, get_guest_memory, grow_guest_memory, nullptr};
        return nullptr;
    }
    const auto mapped = reserved + guard;
    void* base = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return wasmtime_error_new("no address space for the heap of exceptions");
    auto heap = std::make_unique<GcHeap>(GcHeap{static_cast<std::uint8_t*>(base), 0, reserved, mapped});
    if (auto* error = minimum == 0 ? nullptr : grow_gc_heap(heap.get(), minimum)) {
        free_gc_heap(heap.release());
        return error;
    }
    *out = {heap.release(), get_gc_heap, grow_gc_heap, free_gc_heap};
    return nullptr;
}

}  // namespace

// ---- settings

wasm_config_t* settings(const Tuning& tuning)
{
    wasm_config_t* c = wasm_config_new();
    // What modules may use: the list of shim/src/rewrite.rs, `accepted`.
    wasmtime_config_wasm_memory64_set(c, true);
    wasmtime_config_wasm_simd_set(c, true);
    wasmtime_config_wasm_relaxed_simd_set(c, true);
    wasmtime_config_wasm_bulk_memory_set(c, true);
    wasmtime_config_wasm_multi_value_set(c, true);
    wasmtime_config_wasm_reference_types_set(c, true);
    wasmtime_config_wasm_tail_call_set(c, true);
    wasmtime_config_wasm_function_references_set(c, true);
    wasmtime_config_wasm_exceptions_set(c, true);
    wasmtime_config_wasm_multi_memory_set(c, false);
    wasmtime_config_shared_memory_set(c, false);

    // What makes outcomes equal everywhere.
    wasmtime_config_cranelift_nan_canonicalization_set(
        c, tuning.one_nan);  // else the sign of NaN differs by CPU (measured.md, trap 4)
    wasmtime_config_wasm_relaxed_simd_deterministic_set(c, true);
    wasmtime_config_consume_fuel_set(c, tuning.gas == Tuning::Gas::by_engine);
    altiplano_config_operator_costs(c);

    // Memory is ours; with copy-on-write initialisation left on Wasmtime panics (trap 7).
    wasmtime_config_memory_init_cow_set(c, false);
    wasmtime_config_memory_may_move_set(c, false);
    wasmtime_config_memory_reservation_set(c, tuning.assumed_bytes);
    wasmtime_config_memory_guard_size_set(c, memory_guard_bytes);
    altiplano_config_gc_heap(c, gc_reservation_bytes, wasm_page_bytes, false);
    altiplano_config_collector(c, 1);  // the null collector never frees an exception (trap 5)
    wasmtime_memory_creator_t creator{nullptr, new_memory, nullptr};
    wasmtime_config_host_memory_creator_set(c, &creator);

    altiplano_config_stack(c, guest_stack_bytes);
    altiplano_config_backtrace_frames(c, 0);  // 12 us per throw otherwise (trap 2)
    wasmtime_config_cranelift_opt_level_set(c, tuning.optimised ? WASMTIME_OPT_LEVEL_SPEED : WASMTIME_OPT_LEVEL_NONE);
    altiplano_config_inlining(c, tuning.inlined);
    wasmtime_config_parallel_compilation_set(c, tuning.parallel);
    for (const auto& [name, value] : tuning.code)
        wasmtime_config_cranelift_flag_set(c, name.c_str(), value.c_str());
    return c;
}

namespace {

/// What compiled code may depend on, as this machine's CPU states it.
Buffer cpu_features()
{
    Buffer features;
#if defined(__x86_64__)
    for (const auto& [leaf, sub] : {std::pair{1U, 0U}, {7U, 0U}, {7U, 1U}, {0xdU, 1U}, {0x80000001U, 0U}}) {
        std::array<unsigned, 4> r{};
        __get_cpuid_count(leaf, sub, &r[0], &r[1], &r[2], &r[3]);
        // Bits 31-24 of leaf 1's EBX number the core we happen to run on.
        if (leaf == 1)
            r[1] = 0;
        for (const auto word : r)
            append_u64(features, word);
    }
#else
    append_u64(features, getauxval(AT_HWCAP));
    append_u64(features, getauxval(AT_HWCAP2));
#endif
    return features;
}

class OneWasmPage final : public MemorySource {
public:
    explicit OneWasmPage(std::uint64_t reservation_bytes)
        : reservation_bytes_(reservation_bytes)
        , base_(mmap(
              nullptr, reservation_bytes + memory_guard_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
    {
        if (base_ != MAP_FAILED && mprotect(base_, wasm_page_bytes, PROT_READ | PROT_WRITE) != 0)
            close();
    }
    ~OneWasmPage() override { close(); }
    OneWasmPage(const OneWasmPage&) = delete;
    OneWasmPage& operator=(const OneWasmPage&) = delete;
    bool mapped() const noexcept { return base_ != MAP_FAILED; }
    std::byte* base() noexcept override { return static_cast<std::byte*>(base_); }
    std::size_t length() noexcept override { return wasm_page_bytes; }
    std::size_t capacity() noexcept override { return reservation_bytes_; }
    bool grow(std::size_t) noexcept override { return false; }

private:
    void close() noexcept
    {
        if (base_ != MAP_FAILED)
            munmap(base_, reservation_bytes_ + memory_guard_bytes);
        base_ = MAP_FAILED;
    }
    std::uint64_t reservation_bytes_;
    void* base_;
};

/// A store made by compiled code must be seen through our pointer, and a read must see what we put there: Wasmtime
/// issue 12053 reports a creator whose memory no longer received writes.
Result<void> prove_memory_is_ours(wasm_engine_t* engine, std::uint64_t reservation_bytes, bool counts_fuel)
{
    const auto failed = [](std::string what) {
        return fail(errors::host_engine, "the engine's self-test failed: " + std::move(what));
    };
    constexpr std::string_view wat = R"((module (memory (export "m") i64 1)
        (func (export "f") (result i64)
            (i64.store (i64.const 4096) (i64.const 0x0123456789abcdef)) (i64.load (i64.const 8192)))))";
    OwnedBytes wasm;
    if (const OwnedError e{wasmtime_wat2wasm(wat.data(), wat.size(), &wasm.vec)})
        return failed(message_of(e.get()));
    wasmtime_module_t* raw = nullptr;
    if (const OwnedError e{
            wasmtime_module_new(engine, reinterpret_cast<const std::uint8_t*>(wasm.vec.data), wasm.vec.size, &raw)})
        return failed(message_of(e.get()));
    const OwnedModule module(raw);
    OneWasmPage page(reservation_bytes);
    if (!page.mapped())
        return failed("no address space for a memory's reservation");

    const OwnedStore store(wasmtime_store_new(engine, nullptr, nullptr));
    auto* context = wasmtime_store_context(store.get());
    if (const OwnedError e{counts_fuel ? wasmtime_context_set_fuel(context, 1000) : nullptr})
        return failed(message_of(e.get()));
    wasmtime_instance_t instance;
    wasm_trap_t* trap = nullptr;
    {
        const OfferMemory offer(page);
        if (const OwnedError e{wasmtime_instance_new(context, module.get(), nullptr, 0, &instance, &trap)})
            return failed(message_of(e.get()));
    }
    const OwnedTrap owned(trap);
    wasmtime_extern_t f;
    if (trap != nullptr || !wasmtime_instance_export_get(context, &instance, "f", 1, &f))
        return failed("it did not start");
    constexpr std::uint64_t ours = 0xfedcba9876543210;
    std::memcpy(page.base() + 8192, &ours, sizeof ours);
    wasmtime_val_raw_t value{};
    trap = nullptr;
    if (const OwnedError e{wasmtime_func_call_unchecked(context, &f.of.func, &value, 1, &trap)})
        return failed(message_of(e.get()));
    const OwnedTrap trapped(trap);
    std::uint64_t stored = 0;
    std::memcpy(&stored, page.base() + 4096, sizeof stored);
    if (trap != nullptr || stored != 0x0123456789abcdef || static_cast<std::uint64_t>(value.i64) != ours)
        return failed("the memory that compiled code uses is not the one that we offered");
    return {};
}

}  // namespace

std::string message_of(const wasmtime_error_t* error)
{
    OwnedBytes text;
    wasmtime_error_message(error, &text.vec);
    return to_string(text.bytes());
}

std::string message_of(const wasm_trap_t* trap)
{
    OwnedBytes text;
    wasm_trap_message(trap, &text.vec);
    auto message = to_string(text.bytes());
    while (!message.empty() && message.back() == '\0')
        message.pop_back();
    return message;
}

OfferMemory::OfferMemory(MemorySource& source) noexcept
{
    offered = &source;
}
OfferMemory::~OfferMemory()
{
    offered = nullptr;
}

Engine::Engine()
    : native_(std::make_unique<Native>())
{
}
Engine::~Engine() = default;

std::uint64_t Engine::reservation_bytes() const noexcept
{
    return native_->reservation_bytes;
}

bool Engine::narrows() const noexcept
{
    return native_->narrows();
}

std::string Engine::compiler()
{
    return fmt::format("wasmtime {} rewrite {}", WASMTIME_VERSION, altiplano_rewrite_version());
}

std::string Tuning::text() const
{
    std::string all;
    for (const auto& [name, value] : code)
        all += fmt::format(" {}={}", name, value);
    for (const auto& [is_ours, word] :
        {std::pair{one_nan, "any-nan"}, {gas != Gas::by_engine, "fuel"}, {gas != Gas::none, "no-gas"}, {call_depth, "any-depth"},
            {optimised, "not-optimised"}, {!inlined, "inlined"}, {parallel, "one-thread"}, {narrowed, "wide"}})
        if (!is_ours)
            all += fmt::format(" {}", word);
    if (assumed_bytes != 0)
        all += fmt::format(" assumed={}", assumed_bytes);
    return all;
}

Result<std::shared_ptr<Engine>> Engine::create(std::uint64_t reservation_bytes, const Tuning& tuning)
{
    // Under Wasmtime's handler, for what neither it nor the one on top of it wants.
    memory::install_fault_handler();
    std::shared_ptr<Engine> engine(new Engine);
    engine->native_->reservation_bytes = reservation_bytes;
    engine->native_->tuning = tuning;
    engine->native_->engine.reset(wasm_engine_new_with_config(settings(tuning)));
    if (!engine->native_->engine)
        return fail(errors::host_engine, "Wasmtime refused our settings");
    note_fault_addresses();
    engine->fingerprint_ = fmt::format("{} guard {} stack {} cpu {}{}{}", compiler(), memory_guard_bytes, guest_stack_bytes,
        sha256(cpu_features()).text(), engine->narrows() ? " narrow" : "", tuning.text());

    Result<void> proved = fail(errors::host_stack, "no address space for a guest's stack");
    on_guest_stack([&] {
        proved = prove_memory_is_ours(engine->native_->engine.get(), reservation_bytes, tuning.gas == Tuning::Gas::by_engine);
    });
    TRY_OK(std::move(proved));
    return engine;
}

}  // namespace altiplano::vm
