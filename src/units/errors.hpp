#pragma once

#include <string_view>

/// The codes of the room `units`.
namespace altiplano::units::errors {
inline constexpr std::string_view bad_assignment = "units.bad_assignment";  ///< an item that is no assignment, or says it wrongly
}  // namespace altiplano::units::errors
