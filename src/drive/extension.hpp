#pragma once

#include "vm/extension.hpp"

namespace altiplano::drive {

/// The imports `altiplano.map(fd i32, offset i64, length i64, at i64) -> i32 errno` and
/// `altiplano.unmap(at i64, length i64) -> i32 errno`: an open item's bytes appear in the guest's memory, read-only.
/// Writing to them is the fault trap.read_only. Gas: `map_gas` and `map_gas_per_page` per begun page, whether the host
/// maps or copies.
std::shared_ptr<vm::Extension> extension();

inline constexpr std::uint64_t map_gas = 2000;
inline constexpr std::uint64_t map_gas_per_page = 512;

}  // namespace altiplano::drive
