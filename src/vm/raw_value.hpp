#pragma once

#include "vm/extension.hpp"
#include "vm/native.hpp"

#include <cstring>

/// Values as Wasmtime's unchecked calls pass them.
namespace altiplano::vm {

inline Value value_of(const wasmtime_val_raw_t& raw, ValueType type, bool wasm64)
{
    Value value = 0;
    const bool wide = type == ValueType::i64 || type == ValueType::f64 || (type == ValueType::pointer && wasm64);
    std::memcpy(&value, &raw, wide ? 8 : 4);  // little-endian whatever the host
    return value;
}

inline void set_value(wasmtime_val_raw_t& raw, Value value) noexcept
{
    std::memset(&raw, 0, sizeof raw);
    std::memcpy(&raw, &value, sizeof value);
}

}  // namespace altiplano::vm
