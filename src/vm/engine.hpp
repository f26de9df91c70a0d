#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace altiplano::vm {

/// Wasmtime with the settings that make outcomes equal everywhere. One per process, used from any thread.
class Engine {
public:
    /// Builds the engine and proves on a small module that a wasm store is visible through our pointer
    /// (Wasmtime issue 12053). @return vm.host_engine
    static Result<std::shared_ptr<Engine>> create();
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Engine version, settings and this machine's CPU features: what a compiled artefact depends on besides the module.
    const std::string& fingerprint() const noexcept { return fingerprint_; }

    struct Native;
    Native& native() noexcept { return *native_; }

private:
    Engine();
    std::unique_ptr<Native> native_;
    std::string fingerprint_;
};

/// Part of the semantics version in slot 0: rewriting pass, operator costs, guest ABI and gas formulas of this room.
/// A change of any of them that a guest or a gas figure could see raises it.
inline constexpr std::string_view semantics_version = "altiplano-vm-1";

}  // namespace altiplano::vm
