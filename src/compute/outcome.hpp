#pragma once

#include "store/records.hpp"
#include "units/types.hpp"

namespace altiplano::compute {

/// Whether a guest's answer keeps the memory it started from: unless it is `{"ok":true,...}` without an Error in its
/// response (ao-protocol.md 5.9). What is not JSON, or nests deeper than JsonView allows, fails as well.
bool failed(std::string_view output);

/// What a slot sends, in order: messages, then spawns, then assignments. Nothing unless it is a plain result.
std::vector<store::OutboxRecord> outbox_of(const units::SlotResult& result);

store::ResultRecord to_record(const units::SlotResult& result);
units::SlotResult from_record(const store::ResultRecord& record);

}  // namespace altiplano::compute
