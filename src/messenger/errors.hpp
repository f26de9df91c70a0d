#pragma once

#include <string_view>

/// The codes of the room `messenger`.
namespace altiplano::messenger::errors {
inline constexpr std::string_view not_a_message = "messenger.not_a_message";  ///< an item that is neither message nor process
inline constexpr std::string_view bad_outgoing = "messenger.bad_outgoing";  ///< what a process wants to send cannot be an item
}  // namespace altiplano::messenger::errors
