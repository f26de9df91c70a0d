#pragma once

#include <cstddef>

namespace altiplano::vm {

/// Puts a SIGSEGV handler before those that are there, which notes the address and passes the signal on. Wasmtime's
/// handler turns a fault in guest code into "out of bounds" without saying where: whether a guest wrote to a mapped
/// item (inside its memory) or outside of it is seen from the address alone. Call after Wasmtime's is installed.
/// Once per process; further calls do nothing.
void note_fault_addresses();

/// The address of this thread's last fault since the last call, or nullptr.
const std::byte* take_fault_address() noexcept;

}  // namespace altiplano::vm
