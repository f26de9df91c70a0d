#pragma once

#include <string_view>

/// The codes of the room `drive`. What a guest sees of them is ENOENT or EACCES (vm.file_not_found, vm.file_not_admitted).
namespace altiplano::drive::errors {
inline constexpr std::string_view unsupported_mode = "drive.unsupported_mode";  ///< an Availability-Type that we do not know
inline constexpr std::string_view weave_behind = "drive.weave_behind";  ///< this weave does not reach the message's height
}  // namespace altiplano::drive::errors
