#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace altiplano {

/// Base64url without padding (RFC 4648 §5), as AO and Arweave write ids.
std::string base64url(Bytes bytes);

/// Strict: no padding, no white space, no stray bits in the last character.
/// @return base.bad_base64url
Result<Buffer> from_base64url(std::string_view text);

/// Standard base64 with padding (RFC 4648 §4).
std::string base64(Bytes bytes);
/// @return base.bad_base64url
Result<Buffer> from_base64(std::string_view text);

/// Lower-case hexadecimal.
std::string hex(Bytes bytes);
/// @return base.bad_hex
Result<Buffer> from_hex(std::string_view text);

}  // namespace altiplano
