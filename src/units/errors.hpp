#pragma once

#include <string_view>

/// The codes of the room `units`.
namespace altiplano::units::errors {
inline constexpr std::string_view bad_assignment = "units.bad_assignment";  ///< an item that is no assignment, or says it wrongly
inline constexpr std::string_view bad_answer = "units.bad_answer";  ///< another unit answered what makes no sense
inline constexpr std::string_view refused = "units.refused";  ///< another unit refused, without a code of ours
inline constexpr std::string_view not_offered = "units.not_offered";  ///< another unit's wire has no way to ask this
}  // namespace altiplano::units::errors
