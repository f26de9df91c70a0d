#pragma once

// What only this room's sources see: Wasmtime's C API behind owners that free what they hold.

#include "base/result.hpp"
#include "vm/abi/exports.hpp"
#include "vm/abi/host_function.hpp"
#include "vm/engine.hpp"
#include "vm/errors.hpp"
#include "vm/module.hpp"

#include <altiplano_shim.h>
#include <wasm.h>
#include <wasmtime.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace altiplano::vm {

template <auto Free> struct FreeWith {
    template <class T> void operator()(T* object) const noexcept { Free(object); }
};
using OwnedEngine = std::unique_ptr<wasm_engine_t, FreeWith<wasm_engine_delete>>;
using OwnedStore = std::unique_ptr<wasmtime_store_t, FreeWith<wasmtime_store_delete>>;
using OwnedModule = std::unique_ptr<wasmtime_module_t, FreeWith<wasmtime_module_delete>>;
using OwnedLinker = std::unique_ptr<wasmtime_linker_t, FreeWith<wasmtime_linker_delete>>;
using OwnedInstancePre = std::unique_ptr<wasmtime_instance_pre_t, FreeWith<wasmtime_instance_pre_delete>>;
using OwnedError = std::unique_ptr<wasmtime_error_t, FreeWith<wasmtime_error_delete>>;
using OwnedTrap = std::unique_ptr<wasm_trap_t, FreeWith<wasm_trap_delete>>;

wasm_config_t* settings(const Tuning& tuning);

std::string message_of(const wasmtime_error_t* error);
std::string message_of(const wasm_trap_t* trap);

/// A callback's vector that Wasmtime filled.
struct OwnedBytes {
    wasm_byte_vec_t vec{0, nullptr};
    OwnedBytes() = default;
    OwnedBytes(const OwnedBytes&) = delete;
    OwnedBytes& operator=(const OwnedBytes&) = delete;
    ~OwnedBytes() { wasm_byte_vec_delete(&vec); }
    Bytes bytes() const noexcept { return {reinterpret_cast<const std::byte*>(vec.data), vec.size}; }
};

inline constexpr std::uint64_t wasm_page_bytes = 65536;

/// Inaccessible bytes behind every memory. More than any address and offset of a 32-bit guest come to, so that its accesses need
/// no check; one of a 64-bit guest compares its address, without the offset, with the memory's length, once for all fields of an
/// object.
inline constexpr std::uint64_t memory_guard_bytes = std::uint64_t{8} << 30;
/// The GC heap (exceptions) comes to the memory creator too; nothing but this odd size tells the two apart.
inline constexpr std::uint64_t gc_reservation_bytes = (std::uint64_t{64} << 20) + wasm_page_bytes;

struct Engine::Native {
    Tuning tuning{};
    OwnedEngine engine;
    std::mutex references_mutex{};
    std::map<Digest, OwnedModule> references{};  ///< compiled reference modules; each lives as long as the engine
    /// For our own reference modules, which need neither gas nor NaNs of one kind: made when the first one runs.
    OwnedEngine own_engine{};
    std::map<Digest, OwnedModule> own_references{};
    std::uint64_t reservation_bytes = 0;
    /// Whether modules with 64-bit addresses are compiled for a memory with 32-bit ones. Not where the engine would count what
    /// that adds.
    bool narrows() const noexcept
    {
        return reservation_bytes == narrow_reservation_bytes && tuning.narrowed && tuning.gas != Tuning::Gas::by_engine;
    }
};

/// Memory for the next instance of this thread. Wasmtime's creator has no argument of ours, so it goes through here.
class MemorySource {
public:
    virtual ~MemorySource() = default;
    virtual std::byte* base() noexcept = 0;
    virtual std::size_t length() noexcept = 0;
    virtual std::size_t capacity() noexcept = 0;  ///< the engine's reservation
    /// @return false: memory.grow answers -1
    virtual bool grow(std::size_t length) noexcept = 0;
};
/// Sets the source for the calls within its scope.
class OfferMemory {
public:
    explicit OfferMemory(MemorySource& source) noexcept;
    ~OfferMemory();
    OfferMemory(const OfferMemory&) = delete;
    OfferMemory& operator=(const OfferMemory&) = delete;
};

struct Module::Native {
    std::shared_ptr<Engine> engine;
    OwnedModule module;
    /// What each import is bound to, in the module's order; addresses are stable, compiled linkage holds them.
    std::vector<std::unique_ptr<BoundImport>> imports;
    OwnedInstancePre pre;
    std::vector<std::string> globals;  ///< export names of the exposed globals, by index
    std::size_t invokes = 0;  ///< how many `invoke_*` it imports
    bool has_data = false;  ///< exports altiplano:data
    bool has_meter = false;  ///< exports altiplano:meter
    bool has_start = false;  ///< exports altiplano:start
    abi::Exports names;  ///< of the exports that the format's ABI uses
};

/// `altiplano.check_write`, which the rewriting pass imports.
const HostFunction& check_write_function();
/// `altiplano.refuse_growth`, which it imports for modules with a narrow memory.
const HostFunction& refuse_growth_function();

inline altiplano_gas gas_of(const Tuning& tuning) noexcept
{
    return tuning.gas == Tuning::Gas::by_module ? ALTIPLANO_GAS_BY_MODULE
        : tuning.gas == Tuning::Gas::by_engine  ? ALTIPLANO_GAS_BY_ENGINE
                                                : ALTIPLANO_GAS_BY_NOBODY;
}

/// The rewriting pass's answer.
struct Rewritten {
    Rewritten(Bytes wasm, altiplano_kind kind, altiplano_gas gas, bool narrows)
    {
        altiplano_rewrite(reinterpret_cast<const std::uint8_t*>(wasm.data()), wasm.size(), kind, gas, narrows, &raw_);
    }
    ~Rewritten() { altiplano_rewritten_free(&raw_); }
    Rewritten(const Rewritten&) = delete;
    Rewritten& operator=(const Rewritten&) = delete;
    /// The module as it is to be compiled. @return module.* where it is refused
    Result<Bytes> bytes() const;

private:
    altiplano_rewritten raw_{};
};

/// The trampoline of every import.
wasm_trap_t* call_import(void* bound, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t count) noexcept;

}  // namespace altiplano::vm
