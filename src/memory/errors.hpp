#pragma once

#include <string_view>

/// The codes of the room `memory`.
namespace altiplano::memory::errors {
inline constexpr std::string_view over_reservation = "memory.over_reservation";  ///< does not fit the reserved address space
inline constexpr std::string_view bad_length = "memory.bad_length";  ///< not whole pages, or shrinking
inline constexpr std::string_view bad_range = "memory.bad_range";  ///< a mapping outside the usable bytes or over another
inline constexpr std::string_view kernel = "memory.kernel";  ///< the kernel refused memory
inline constexpr std::string_view bad_image = "memory.bad_image";  ///< an image file that is not one, or changed
}  // namespace altiplano::memory::errors
