#pragma once

#include "vm/extension.hpp"

#include <optional>
#include <span>
#include <string>
#include <wasm.h>

/// Types of functions as the engine's C interface gives them. Asked for the kind of a vector or of most references, that
/// interface ends the program (wasmtime-c-api, types/val.rs), and any module may have them: nobody but this file asks.
namespace altiplano::vm {

/// The number type that it is: never `pointer`; nothing for a vector or a reference.
std::optional<ValueType> number_type(const wasm_valtype_t* type);

/// Whether a function has this signature, in a module whose pointers are as wide as `wasm64` says.
bool has_signature(
    const wasm_functype_t* type, std::span<const ValueType> parameters, std::optional<ValueType> result, bool wasm64);

inline bool has_signature(const wasm_functype_t* type, const Import& import, bool wasm64)
{
    return has_signature(type, import.parameters, import.result, wasm64);
}

/// A signature as people read it: "(i32 v128) -> (i64)".
std::string signature_text(const wasm_functype_t* type);

}  // namespace altiplano::vm
