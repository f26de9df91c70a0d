#pragma once

#include "weave/upload.hpp"

namespace altiplano::weave {

/// An item whose data is a blob of this store already: read through once, both hashes checked.
/// @return store.not_found, weave.broken_item when the bytes are others, item.bad_signature, base.*
Result<NewItem> adopt(const item::Header& header, const Digest& blob, store::Blobs& blobs);

}  // namespace altiplano::weave
