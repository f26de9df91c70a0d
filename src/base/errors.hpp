#pragma once

#include <string_view>

/// The codes of the room `base`.
namespace altiplano::errors {
inline constexpr std::string_view bad_base64url = "base.bad_base64url";
inline constexpr std::string_view bad_id = "base.bad_id";
inline constexpr std::string_view bad_hex = "base.bad_hex";
inline constexpr std::string_view bad_json = "base.bad_json";
inline constexpr std::string_view file_missing = "base.file_missing";
inline constexpr std::string_view file_failed = "base.file_failed";
inline constexpr std::string_view disk_full = "base.disk_full";
inline constexpr std::string_view peer_gone = "base.peer_gone";  ///< the process at the other end of a socket pair
}  // namespace altiplano::errors
