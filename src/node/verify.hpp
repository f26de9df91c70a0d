#pragma once

#include "compute/context.hpp"
#include "compute/images.hpp"
#include "compute/recompute.hpp"
#include "node/data_folder.hpp"
#include "units/types.hpp"

#include <functional>

namespace altiplano::node {

/// Which part of a process is computed again, and how.
struct Recompute {
    ProcessId process;
    std::optional<units::Slot> until{};  ///< the last evaluation; nothing: all, and what cron asks for as far as time is settled
    std::optional<compute::Images::State> start{};  ///< a checkpoint to begin after; nothing: from slot 0
    Path modules;  ///< compiled modules of the doubter's own
    /// Whose code extensions compute by: their reference modules', or both, which names the first operation that differs.
    tensor::Options::By by = tensor::Options::By::own;
    /// What language models are claimed to have generated: then only what a slot says can be compared, not its state and gas.
    compute::Recomputation::Claims claims{};
};

/// Computes a process again from the log and the blobs of a data folder, slot by slot: checks every signature and link, then
/// evaluates. Opens neither results nor images but the one it starts from, and where the kernel can enforce it, gives up
/// the ability to.
/// @param isolated  called once with whether the kernel enforces that
/// @param each  called with every slot's result, in order
/// @param opened  called with every item of the weave that the guest opens, each time
/// @return scheduler.broken_log, weave.broken_*, compute.*, scheduler.unknown_*: at the first thing that is wrong
Result<void> recompute(const DataFolder& folder, const Recompute& what, const std::function<void(bool)>& isolated,
    const std::function<void(const units::SlotResult&)>& each, const std::function<void(const ItemId&)>& opened = {});

/// The checkpoints of a process in a data folder whose roots are those of the recorded results, oldest first. @return store.*
Result<std::vector<compute::Images::State>> checkpoints(const DataFolder& folder, const ProcessId& process);

/// A checkpoint of somebody else's that the node goes on from. @return store.*
Result<std::optional<store::TrustedRecord>> trusted(const DataFolder& folder, const ProcessId& process);

/// What a node recorded for a slot; nothing if it has not computed it. @return store.*
Result<std::optional<units::SlotResult>> recorded(const DataFolder& folder, const units::Slot& slot);

/// In words, the first field in which two results differ; empty when they are equal.
/// @param said_only  compares what the slot says, and not how it came to it: state, gas
std::string difference(const units::SlotResult& recorded, const units::SlotResult& recomputed, bool said_only = false);

/// The tokens that a result says a language model generated in it, as `Recomputation::claim` takes them; empty when it says none.
Buffer claimed_tokens(const units::SlotResult& recorded);

}  // namespace altiplano::node
