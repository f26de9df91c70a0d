#pragma once

#include <string_view>

/// The codes of the room `scheduler`.
namespace altiplano::scheduler::errors {
inline constexpr std::string_view unknown_process = "scheduler.unknown_process";
inline constexpr std::string_view unknown_slot = "scheduler.unknown_slot";
inline constexpr std::string_view unknown_message = "scheduler.unknown_message";  ///< it has no slot in that process
inline constexpr std::string_view unknown_item = "scheduler.unknown_item";  ///< an item to be assigned that is not in the weave
inline constexpr std::string_view not_settled = "scheduler.not_settled";  ///< too few blocks on top of it
inline constexpr std::string_view missing_tag = "scheduler.missing_tag";
inline constexpr std::string_view bad_tag = "scheduler.bad_tag";
inline constexpr std::string_view over_limit = "scheduler.over_limit";  ///< a message larger than this scheduler takes
inline constexpr std::string_view over_quota = "scheduler.over_quota";  ///< one process more than an account may have here
inline constexpr std::string_view other_scheduler = "scheduler.other_scheduler";  ///< the process names another one
inline constexpr std::string_view no_target = "scheduler.no_target";
inline constexpr std::string_view broken_log = "scheduler.broken_log";  ///< the log and its items disagree
}  // namespace altiplano::scheduler::errors
