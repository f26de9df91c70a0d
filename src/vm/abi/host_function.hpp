#pragma once

#include "vm/extension.hpp"

#include <span>

namespace altiplano::vm {

class Guest;

/// One import that this room answers itself.
struct HostFunction {
    Import import;
    Answer<Value> (*call)(Guest& guest, std::span<const Value> arguments);
};

/// An import of a module with what answers it: a host function, or one of an extension's imports.
struct BoundImport {
    const HostFunction* function = nullptr;
    std::shared_ptr<Extension> extension{};
    std::size_t extension_import = 0;
    const Import* import = nullptr;  ///< of either, or `made`
    std::unique_ptr<Import> made{};  ///< of an import whose type the module chooses: emscripten's `invoke_*`
    bool wasm64 = false;
    /// Of an `invoke_*`: its number among them, and the export that calls a table entry with this signature, where AO's
    /// loader uses one: GasUsed counts what is done there.
    std::size_t invoke = 0;
    std::string dyn_call{};
};

}  // namespace altiplano::vm
