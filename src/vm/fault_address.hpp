#pragma once

#include <cstddef>

namespace altiplano::vm {

/// Puts a handler of SIGSEGV and SIGBUS before those that are there, which notes the address and passes the signal on. Wasmtime's
/// handler turns a fault in guest code into "out of bounds" without saying where: whether a guest wrote to a mapped
/// item (inside its memory) or outside of it is seen from the address alone. Call after Wasmtime's is installed.
/// Once per process; further calls do nothing.
void note_fault_addresses();

struct Fault {
    const std::byte* address = nullptr;
    bool bus_error = false;  ///< SIGBUS: the file behind a mapping failed
};
/// This thread's last fault since the last call; no address if there was none.
Fault take_fault() noexcept;

}  // namespace altiplano::vm
