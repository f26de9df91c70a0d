// Going on from what somebody else computed.
#include "base/log.hpp"
#include "compute/errors.hpp"
#include "compute/local_compute.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::compute {

Result<store::TrustedRecord> LocalCompute::take_in(const ItemId& id)
{
    // Who says so, and what.
    TRY_OK(weave_.check(id));
    TRY(const auto item, weave_.item(id));
    const auto signer = item.header.owner().text();
    if (std::ranges::find(options_.checkpoint_signers, signer) == options_.checkpoint_signers.end())
        return fail(errors::signer_not_trusted,
            fmt::format("the checkpoint {} is signed by {}, whose checkpoints are not taken in here", id.text(), signer),
            fmt::format("whoever runs the node may trust them: `altiplano node --checkpoint-signers {}`", signer));
    TRY(const auto claim, ao_claim_of(item.header.tags()));
    const auto& slot = claim.slot;

    // What the log says of that slot.
    TRY(const auto entry, scheduler_.entry(slot));
    TRY_OK(check_against(item.header.tags(), entry.assignment));

    const auto lane = this->lane(slot.process);
    const std::lock_guard busy(lane->mutex);
    if (lane->stopped)
        return std::unexpected(*lane->stopped);
    TRY_OK(settle(*lane));
    TRY_OK(load_context(*lane));
    const auto& context = *lane->context;
    TRY(const auto named, module_named(context.item));
    if (claim.module != named && ItemId(claim.module) != context.code->header.id())
        return fail(errors::bad_ao_checkpoint,
            fmt::format("it is of the module {}; the process has {}", claim.module.text(), named.text()));
    TRY(const auto end, cache_.results_end(slot.process));
    if (end > slot.nonce)
        return fail(errors::computed_already,
            fmt::format(
                "this node goes on with {} at slot {}; the checkpoint is of slot {}", slot.process.text(), end, slot.nonce),
            fmt::format("`altiplano checkpoint check {}` says whether both agree", id.text()));

    // The memory, on a machine of its own: whatever comes of it, the process has lost nothing but its warmth.
    TRY(const auto data, weave_.data(id));
    TRY(const auto memory, images_.scratch(slot));
    TRY(const auto length, unpack_ao_checkpoint(*data, claim, context.memory_bytes, *memory));
    drop_worker(*lane);
    TRY_OK(start_worker(*lane));
    const auto taken = [&]() -> Result<store::TrustedRecord> {
        TRY_OK(lane->worker->begin(context.limits.memory_bytes));
        TRY(lane->root, lane->worker->fill(*memory, length));
        if (claim.root && lane->root != *claim.root)
            return fail(errors::bad_ao_checkpoint,
                fmt::format("its memory gives the state {}, not {} as it says: more belongs to this state than its memory",
                    lane->root.text(), claim.root->text()),
                "AO's format leaves globals out: compute this process from its log");
        lane->has_machine = true;
        lane->at = slot;
        store::TrustedRecord record{
            .process = slot.process, .nonce = slot.nonce, .state_root = lane->root, .item = id, .signer = signer};
        // The image first: without the record it is of no history, and dropped.
        TRY_OK(save_image(*lane, true));
        TRY_OK(cache_.put_trusted(record));
        return record;
    }();
    lane->walk.reset();
    lane->evaluated.reset();
    if (!taken) {
        drop_worker(*lane);
        return taken;
    }
    lane->used_ns = clock_.monotonic_ns();
    log::warning(
        "the state of {} after slot {} is taken for right because {} says so ({}): `altiplano checkpoint verify` computes it",
        slot.process.text(), slot.nonce, signer, id.text());
    return taken;
}

Result<std::optional<store::TrustedRecord>> LocalCompute::trusted(const ProcessId& process)
{
    return cache_.trusted(process);
}

Result<std::optional<units::Slot>> LocalCompute::begins_after(const ProcessId& process)
{
    TRY(const auto taken, cache_.trusted(process));
    return taken ? std::optional(units::Slot{process, taken->nonce}) : std::nullopt;
}

/// Whoever replays the log compares what was taken in, once it gets there: from then on it is known.
Result<void> LocalCompute::meet(Lane& lane, store::TrustedRecord taken)
{
    if (lane.at != units::Slot{lane.process, taken.nonce})
        return {};
    if (taken.state_root == lane.root) {
        taken.verified = true;
        return cache_.put_trusted(taken);
    }
    lane.stopped = Error{errors::disagreement,
        fmt::format("the checkpoint {} was taken in for the state of {} after slot {}; the log gives {}, not {}",
            taken.item.text(), lane.process.text(), taken.nonce, lane.root.text(), taken.state_root.text()),
        "stop the node and remove cache.db and images/ from its data folder: everything is then computed from the log"};
    return std::unexpected(*lane.stopped);
}

Result<store::TrustedRecord> LocalCompute::verify_trusted(const ProcessId& process)
{
    TRY(const auto taken, cache_.trusted(process));
    if (!taken)
        return fail(errors::unknown_slot, fmt::format("no checkpoint was taken in for {}", process.text()),
            "`altiplano verify` computes it from its log");
    if (taken->verified)
        return *taken;
    Lane lane(process);
    lane.past = true;
    const auto done = [&]() -> Result<void> {
        TRY_OK(load_context(lane));
        TRY_OK(start_worker(lane));
        TRY(lane.root, lane.worker->begin(lane.context->limits.memory_bytes));
        lane.has_machine = true;
        return replay(lane, {process, taken->nonce});
    }();
    if (lane.stopped) {
        const auto served = this->lane(process);
        const std::lock_guard busy(served->mutex);
        served->stopped = lane.stopped;
    }
    if (!done)
        return std::unexpected(done.error());
    TRY(const auto now, cache_.trusted(process));
    return *now;
}

}  // namespace altiplano::compute
