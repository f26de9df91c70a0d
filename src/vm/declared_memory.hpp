#pragma once

#include "base/bytes.hpp"

#include <cstdint>

namespace altiplano::vm {

/// The most bytes that the module's memory can ever have by its own declaration, read from the module's front without
/// compiling it: the declared maximum, else what its addresses reach (4 GiB, or 2^64 - 1 for a 64-bit memory). The largest
/// number for what is no module; compiling will say why.
std::uint64_t declared_memory_bytes(Bytes wasm) noexcept;

}  // namespace altiplano::vm
