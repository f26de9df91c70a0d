#pragma once

#include "item/data_item.hpp"
#include "store/records.hpp"

/// What items are found by. The index is a cache of the weave: it follows from the items, and is made anew when it is missing.
namespace altiplano::weave {

/// The terms of a data item or transaction: each tag, its owner, its target, the bundle that it came in.
std::vector<store::Term> terms_of(const item::Header& header, const std::optional<ItemId>& bundle);

/// Makes the index of records that have none, or one of an older kind; takes up where it was interrupted.
/// @return weave.broken_item, store.*
Result<void> bring_index_up_to_date(store::Records& records);
/// For those who only read: without its index a weave would deny what it holds. @return weave.no_index, store.*
Result<void> check_index(store::Records& records);

}  // namespace altiplano::weave
