#pragma once

#include "base/bytes.hpp"
#include "base/hash.hpp"

#include <span>

namespace altiplano::item {

/// Arweave's deep hash of a byte string: SHA-384(SHA-384("blob" + decimal length) || SHA-384(bytes)).
Sha384 deep_hash_blob(Bytes bytes);
/// Of a byte string whose SHA-384 is known: so large data is read once, piece by piece, and never held.
Sha384 deep_hash_blob(std::uint64_t length, const Sha384& hash_of_bytes);
/// Of a list, from the deep hashes of its children.
Sha384 deep_hash_list(std::span<const Sha384> children);

}  // namespace altiplano::item
