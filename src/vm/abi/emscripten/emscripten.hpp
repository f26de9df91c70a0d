#pragma once

#include "vm/abi/host_function.hpp"
#include "vm/format.hpp"

#include <span>

/// AO's modules, built with emscripten: what they import and what their exports are called.
namespace altiplano::vm::abi::emscripten {

/// What the loader of AO answers under `env` and `wasi_snapshot_preview1`, by the import's name alone as there; a name
/// stands several times when wasm32 modules split its 64-bit values. What a guest may not do (a shell, a network) answers
/// with an error, as everything does that is not deterministic. `invoke_*` is not among them: see Guest::invoke.
std::span<const HostFunction> functions();

inline constexpr std::string_view invoke_prefix = "invoke_";
inline constexpr std::size_t invoke_parameters_max = 16;

/// The plain name of an import, which modules of the first generation import as a letter. @return empty: none of ours
std::string_view plain_name(const Format& format, std::string_view module, std::string_view name);

}  // namespace altiplano::vm::abi::emscripten
