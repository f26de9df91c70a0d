#pragma once

#include "units/types.hpp"

/// Our own wire between units, below `/~altiplano/` of a unit's URL: what AO's cannot carry exactly. README.md lists the paths.
namespace altiplano::units::wire {

/// Parts one after the other, each behind its length in eight bytes.
Buffer join(const std::vector<Bytes>& parts);
/// Borrowed from `bytes`. @param count  how many there must be @return units.bad_answer
Result<std::vector<Bytes>> split(Bytes bytes, std::size_t count);

Buffer encode(const LogEntry& entry);
/// Reads and verifies both signatures. @return units.bad_answer, units.bad_assignment, item.*
Result<LogEntry> decode_entry(Bytes bytes);

Buffer encode(const SlotResult& result);
/// @return units.bad_answer
Result<SlotResult> decode_result(Bytes bytes);

std::string encode(const Assignment::Semantics& semantics);
/// @return units.bad_answer
Result<Assignment::Semantics> decode_semantics(std::string_view json);

}  // namespace altiplano::units::wire
