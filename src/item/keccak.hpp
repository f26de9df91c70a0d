#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"

namespace altiplano::item {

/// Keccak-256 as Ethereum has it: SHA-3's permutation with the padding of the competition. By hand since OpenSSL 3.0
/// offers only the standardised SHA-3.
Digest keccak256(Bytes bytes);

}  // namespace altiplano::item
