#pragma once

#include "base/bytes.hpp"

#include <gtest/gtest.h>
#include <wasm.h>
#include <wasmtime.h>

#include <string>
#include <string_view>

namespace altiplano::vm::test {

/// Text to wasm bytes. Fails the test on bad text.
inline Buffer wat(std::string_view text)
{
    wasm_byte_vec_t wasm{0, nullptr};
    if (auto* error = wasmtime_wat2wasm(text.data(), text.size(), &wasm)) {
        wasm_byte_vec_t message{0, nullptr};
        wasmtime_error_message(error, &message);
        ADD_FAILURE() << std::string(message.data, message.size);
        wasm_byte_vec_delete(&message);
        wasmtime_error_delete(error);
        return {};
    }
    Buffer bytes(reinterpret_cast<const std::byte*>(wasm.data), reinterpret_cast<const std::byte*>(wasm.data) + wasm.size);
    wasm_byte_vec_delete(&wasm);
    return bytes;
}

/// A guest with the exports of the ABI: `body` is that of handle($message, $env), `more` and `imports` stand at module
/// level.
/// malloc takes from a global that free resets, so that a message leaves the globals as it found them unless it wants.
inline std::string guest_wat(
    std::string_view body, std::string_view more = {}, std::string_view imports = {}, std::string_view memory = "i64 2 64")
{
    std::string text = "(module ";
    text += imports;
    text += "(memory (export \"memory\") ";
    text += memory;
    text += R"wat() (global $heap (mut i64) (i64.const 49152))
        (func (export "malloc") (param $n i64) (result i64)
            (global.get $heap)
            (global.set $heap (i64.add (global.get $heap) (i64.and (i64.add (local.get $n) (i64.const 15)) (i64.const -16)))))
        (func (export "free") (param i64) (global.set $heap (i64.const 49152)))
        )wat";
    text += more;
    text += " (func (export \"handle\") (param $message i64) (param $env i64) (result i64) ";
    text += body;
    return text + "))";
}

}  // namespace altiplano::vm::test
