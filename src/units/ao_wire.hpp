#pragma once

#include "base/json.hpp"
#include "units/types.hpp"

/// AO's own wire, read from the other side: what schedulers and compute units of others answer (ao-protocol.md 3-5).
namespace altiplano::units::ao {

/// An item as a scheduler's JSON shows it, put together again and verified. Anchors must be asked for with `show-anchor`.
/// @param data  exact bytes, where the JSON's text is known to be damaged; else nothing
/// @return units.bad_answer; item.bad_signature, which also comes when the data was no text and the wire damaged it
Result<item::DataItem> item_of(const JsonView& json, const std::optional<Buffer>& data = {});

/// A node of `GET /{process}`: message and assignment. @param fetch  gets an item that the JSON leaves out or damages
/// @return as `item_of`; units.bad_assignment
Result<LogEntry> entry_of(const JsonView& node, const std::function<Result<item::DataItem>(const ItemId&)>& fetch);

/// A result in AO's shape as one of ours: the output is the guest's answer again, root and gas are not known.
/// @return units.bad_answer
Result<SlotResult> result_of(const Slot& slot, std::string_view json);

}  // namespace altiplano::units::ao
