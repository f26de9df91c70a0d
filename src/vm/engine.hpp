#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace altiplano::vm {

/// How an engine may differ from the one whose results are recorded: for measuring what each of our settings costs (`bench
/// settings`), and for proving that nothing which follows the CPU shows in a result (`tests/differential/roots`).
struct Tuning {
    std::vector<std::pair<std::string, std::string>> code{};  ///< settings of the code generator, by its names
    bool one_nan = true;
    /// Who counts: the module, as the rewriting pass wrote it; the engine, as its fuel, with the same sum but slower; or nobody,
    /// and nothing ends an endless loop.
    enum class Gas : std::uint8_t { by_module, by_engine, none } gas = Gas::by_module;
    bool call_depth = true;  ///< without, a deep recursion ends this program
    bool optimised = true;
    bool inlined = false;  ///< functions of a module into one another: native frames then outgrow what the depth of calls counts
    bool parallel = true;  ///< compilation
    /// Of address space behind each memory. 0: an access is compared with the memory's length, which code keeps at hand; else
    /// with a constant of its own for each offset.
    std::uint64_t assumed_bytes = 0;
    /// On the smallest reservation, modules with 64-bit addresses over a memory with 32-bit ones.
    bool narrowed = true;
    std::string text() const;  ///< empty for what is recorded
};

/// Wasmtime with the settings that make outcomes equal everywhere. Used from any thread.
class Engine {
public:
    /// The address space of every memory, so the largest that a process can have on this engine. There are three sizes: a
    /// process's whole address space is 128 TiB, so many machines in one want a small one, and on the smallest 64-bit addresses
    /// need not be compared with a length (`narrows`). Shows in no outcome.
    static constexpr std::uint64_t narrow_reservation_bytes = std::uint64_t{4} << 30;
    static constexpr std::uint64_t small_reservation_bytes = std::uint64_t{16} << 30;
    static constexpr std::uint64_t large_reservation_bytes = std::uint64_t{1} << 40;
    /// What a process may have on an engine that narrows: one wasm page less than 32 bits address.
    static constexpr std::uint64_t narrow_memory_bytes_max = narrow_reservation_bytes - 65536;
    static std::uint64_t reservation_for(std::uint64_t memory_bytes) noexcept
    {
        return memory_bytes <= narrow_memory_bytes_max ? narrow_reservation_bytes
            : memory_bytes <= small_reservation_bytes  ? small_reservation_bytes
                                                       : large_reservation_bytes;
    }

    /// Builds the engine and proves on a small module that a wasm store is visible through our pointer
    /// (Wasmtime issue 12053). @return vm.host_engine
    static Result<std::shared_ptr<Engine>> create(
        std::uint64_t reservation_bytes = narrow_reservation_bytes, const Tuning& tuning = {});
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Engine version, settings and this machine's CPU features: what a compiled artefact depends on besides the module.
    const std::string& fingerprint() const noexcept { return fingerprint_; }
    std::uint64_t reservation_bytes() const noexcept;
    /// Whether modules with 64-bit addresses are compiled for a memory with 32-bit ones (shim/src/narrow.rs).
    bool narrows() const noexcept;

    /// What turns modules into code: the engine's version and the rewriting pass's.
    static std::string compiler();

    struct Native;
    Native& native() noexcept { return *native_; }

private:
    Engine();
    std::unique_ptr<Native> native_;
    std::string fingerprint_;
};

}  // namespace altiplano::vm
