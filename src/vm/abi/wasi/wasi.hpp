#pragma once

#include "vm/abi/host_function.hpp"

#include <span>

namespace altiplano::vm::abi::wasi {

/// WASI preview 1 for our guests, with pointers and sizes of the guest's width: every function of it, so that any
/// module links. What a guest may do is done deterministically (time and randomness come from the message, files from
/// GuestFiles); what it may not do answers ENOSYS. Gas: `call_gas` per call and `byte_gas` per byte moved,
/// charged before the work.
std::span<const HostFunction> functions();

inline constexpr std::uint64_t random_byte_gas = 8;  ///< a hash, not a copy

}  // namespace altiplano::vm::abi::wasi
