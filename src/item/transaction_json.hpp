#pragma once

#include "base/json.hpp"
#include "item/data_item.hpp"

#include <cstdint>

namespace altiplano::item {

/// Writes the members of a transaction as Arweave's nodes give it (`GET /tx/{id}`), without data, into an object that the
/// caller begins and ends. Of a data item it has what that has too, so that tools can show it, and says so in `data_item`.
/// @param data_size of the item's data, in bytes
void write_transaction(JsonWriter& json, const Header& header, std::uint64_t data_size);

}  // namespace altiplano::item
