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
inline constexpr std::string_view bad_transaction = "item.bad_transaction";  ///< not the JSON of a transaction
inline constexpr std::string_view bad_amount = "item.bad_amount";  ///< no amount of Winston
inline constexpr std::string_view bad_data_root = "item.bad_data_root";  ///< the data is not what a transaction signs
inline constexpr std::string_view bad_proof = "item.bad_proof";  ///< a path that does not prove its chunk
inline constexpr std::string_view bad_bundle = "item.bad_bundle";  ///< data that is no bundle, though its tags say so
}  // namespace altiplano::item::errors
