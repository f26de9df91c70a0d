#pragma once

#include <string_view>

/// The codes of the room `item`.
namespace altiplano::item::errors {
inline constexpr std::string_view truncated = "item.truncated";  ///< ends inside a field
inline constexpr std::string_view bad_signature_type = "item.bad_signature_type";  ///< no such type in ANS-104
inline constexpr std::string_view unsupported_signature = "item.unsupported_signature";  ///< known, but not verified here
inline constexpr std::string_view bad_presence_byte = "item.bad_presence_byte";  ///< target or anchor: neither 0 nor 1
inline constexpr std::string_view tag_bytes_over_limit = "item.tag_bytes_over_limit";
inline constexpr std::string_view bad_tags = "item.bad_tags";  ///< not the Avro encoding of the declared tags
inline constexpr std::string_view bad_signature = "item.bad_signature";  ///< signature and content do not belong together
inline constexpr std::string_view bad_key = "item.bad_key";  ///< a key file that holds no key of ours
inline constexpr std::string_view bad_field = "item.bad_field";  ///< a field that cannot be built
}  // namespace altiplano::item::errors
