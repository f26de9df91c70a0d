#pragma once

#include "compute/images.hpp"
#include "node/data_folder.hpp"
#include "units/types.hpp"

#include <functional>

namespace altiplano::node {

/// Computes a process again from the log and the blobs of a data folder, slot by slot up to `last`: checks every
/// signature and link, then evaluates. Opens neither results nor images, and where the kernel can enforce it, gives up
/// the ability to.
/// @param start  a checkpoint to begin after, opened before that; nothing: from slot 0
/// @param reference  extensions compute by their reference modules
/// @param isolated  called once with whether the kernel enforces that
/// @param each  called with every slot's result, in order
/// @return scheduler.broken_log, weave.broken_*, compute.*, scheduler.unknown_*: at the first thing that is wrong
Result<void> recompute(const DataFolder& folder, const ProcessId& process, std::optional<std::uint64_t> last,
    const std::optional<compute::Images::State>& start, const Path& modules, bool reference,
    const std::function<void(bool)>& isolated, const std::function<void(const units::SlotResult&)>& each);

/// The checkpoints of a process in a data folder, oldest first. @return store.*
Result<std::vector<compute::Images::State>> checkpoints(const DataFolder& folder, const ProcessId& process);

/// What a node recorded for a slot; nothing if it has not computed it. @return store.*
Result<std::optional<units::SlotResult>> recorded(const DataFolder& folder, const units::Slot& slot);

/// In words, the first field in which two results differ; empty when they are equal.
std::string difference(const units::SlotResult& recorded, const units::SlotResult& recomputed);

}  // namespace altiplano::node
