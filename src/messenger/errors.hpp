#pragma once

#include <string_view>

/// The codes of the room `messenger`.
namespace altiplano::messenger::errors {
inline constexpr std::string_view not_a_message = "messenger.not_a_message";  ///< an item that is neither message nor process
inline constexpr std::string_view bad_outgoing = "messenger.bad_outgoing";  ///< what a process wants to send cannot be an item
inline constexpr std::string_view too_many_hops = "messenger.too_many_hops";  ///< a chain of messages that does not end
inline constexpr std::string_view unknown_delivery = "messenger.unknown_delivery";  ///< nothing was sent at that place
inline constexpr std::string_view unknown_scheduler = "messenger.unknown_scheduler";  ///< nothing on the weave says where it is
inline constexpr std::string_view refused_elsewhere = "messenger.refused_elsewhere";  ///< by another scheduler
inline constexpr std::string_view busy = "messenger.busy";  ///< too many requests to others are under way
inline constexpr std::string_view not_allowed = "messenger.not_allowed";  ///< only the owner of a process may ask for that
inline constexpr std::string_view already_monitored = "messenger.already_monitored";
inline constexpr std::string_view not_monitored = "messenger.not_monitored";
}  // namespace altiplano::messenger::errors
