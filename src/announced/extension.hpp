#pragma once

#include "announced/accelerator.hpp"
#include "announced/announcement.hpp"
#include "vm/extension.hpp"

namespace altiplano::announced {

/// How much gas a reference module's code may use per unit that its formula took: a formula need not be exact, but it must cover.
inline constexpr std::uint64_t gas_used_per_paid = 1024;

/// The announced functions as imports of guests with 64-bit memory, from the module of the extension's name.
/// @param accelerator  may be none; results, gas and faults are those of the reference module, as far as it does what that does
std::shared_ptr<vm::Extension> extension(Announcement announcement, std::shared_ptr<Accelerator> accelerator = nullptr);

}  // namespace altiplano::announced
