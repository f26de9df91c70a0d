#pragma once

#include "item/tags.hpp"

#include <string_view>

namespace altiplano::units {

/// Whether the tags of a process name an address as one that may speak for other processes: its tags Authority, each a list
/// with commas or spaces between.
bool names_authority(const item::Tags& process, std::string_view address);

}  // namespace altiplano::units
