#pragma once

#include "item/signer.hpp"
#include "store/records.hpp"
#include "units/types.hpp"

namespace altiplano::messenger {

/// Where something that is sent comes from.
struct Source {
    units::Slot slot;
    std::uint64_t index = 0;
    ModuleId module;
    std::string scheduler;  ///< of the sending process
    std::string pushed_for;  ///< id of the item that began the chain; empty for what cron sends
};

/// The item for what a process sends: target, data and tags by ao-protocol.md 4.4, reserved tags replaced by ours. The
/// anchor is the process's own, or follows from its place in the outbox. Deterministic.
/// @return messenger.bad_outgoing: what is missing or wrong
Result<item::Fields> outgoing_fields(const store::OutboxRecord& record, const Source& source);

/// What an assignment of the outbox asks for: `{"Processes":[ids],"Message":id,"BaseLayer"?,"Exclude"?}` (4.3).
/// @return messenger.bad_outgoing
Result<std::vector<units::AssignRequest>> assign_requests(const store::OutboxRecord& record, const Source& source);

/// The notice to the parent of a process that was spawned (4.4). @param spawn  the item that spawned it
Result<item::Fields> spawned_fields(const item::DataItem& spawn, const Source& source);

}  // namespace altiplano::messenger
