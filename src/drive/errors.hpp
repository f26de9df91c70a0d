#pragma once

#include <string_view>

/// The codes of the room `drive`. What a guest sees of them is ENOENT or EACCES (vm.file_not_found, vm.file_not_admitted).
namespace altiplano::drive::errors {
inline constexpr std::string_view unsupported_mode = "drive.unsupported_mode";  ///< an Availability-Type that we do not know
}  // namespace altiplano::drive::errors
