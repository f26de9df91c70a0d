// Looking at what was, and at what never was.
#include "compute/errors.hpp"
#include "compute/local_compute.hpp"
#include "memory/errors.hpp"

#include <fmt/format.h>

namespace altiplano::compute {

namespace {
constexpr int attempts_max = 3;
}  // namespace

/// A machine as it was after a slot, apart from the process's own.
Result<void> LocalCompute::with_state(const units::Slot& slot, const std::function<Result<void>(Lane& lane)>& work)
{
    // Evaluated first, so that what is replayed has something to agree with.
    TRY(auto recorded, images_.root_after(slot));
    if (!recorded) {
        TRY(const auto evaluated, result(slot));
        recorded = evaluated.state_root;
    }
    Lane lane(slot.process);
    lane.past = true;
    for (int attempt = 1;; ++attempt) {
        if (stopping_)
            return fail(errors::stopping, "the node is going down", "ask again when it is back: nothing is lost");
        auto done = [&]() -> Result<void> {
            TRY_OK(wake(lane, slot));
            if (lane.root != *recorded)
                return fail(errors::disagreement,
                    fmt::format(
                        "the state after slot {} of {} has another root than was recorded", slot.nonce, slot.process.text()),
                    "`altiplano verify` says which one the log gives");
            return work(lane);
        }();
        if (done) {
            if (lane.worker && !lane.worker->share().gives_way())
                pool_.give_back(std::move(lane.worker), *lane.context);
            return {};
        }
        const bool damaged = done.error().code == memory::errors::bad_image;
        if (damaged && lane.restored_from)
            images_.drop(*lane.restored_from);
        drop_worker(lane);
        if (lane.stopped || (!damaged && done.error().code != errors::worker_died) || attempt == attempts_max)
            return done;
    }
}

Result<vm::Machine::Description> LocalCompute::state(const units::Slot& slot)
{
    std::optional<vm::Machine::Description> state;
    TRY_OK(with_state(slot, [&](Lane& lane) -> Result<void> {
        TRY(state, lane.worker->describe());
        return {};
    }));
    return *std::move(state);
}

Result<units::SlotResult> LocalCompute::dry_run_at(const units::DryRun& run, std::uint64_t nonce)
{
    const units::Slot slot{run.process, nonce};
    TRY(const auto last, scheduler_.entry(slot));
    std::optional<Evaluated> done;
    TRY_OK(with_state(slot, [&](Lane& lane) -> Result<void> {
        TRY(const auto work, work_of(run, last, *lane.context, options_.dry_run_gas));
        TRY(done, evaluate(lane, work, last.assignment.height, {}));
        return {};
    }));
    return units::SlotResult{.slot = slot,
        .kind = done->kind,
        .output = std::move(done->output),
        .state_root = done->state_root,
        .gas = done->gas,
        .gas_used = done->gas_used};
}

Result<std::vector<units::SlotResult>> LocalCompute::fork(const units::Slot& slot, std::span<const std::string> bodies)
{
    TRY(const auto last, scheduler_.entry(slot));
    std::vector<units::SlotResult> results;
    TRY_OK(with_state(slot, [&](Lane& lane) -> Result<void> {
        results.clear();
        for (const auto& body : bodies) {
            TRY(auto work, work_of(units::DryRun{slot.process, body}, last, *lane.context, options_.dry_run_gas));
            work.dry_run = false;  // what it writes stays, on this machine
            TRY(auto done, evaluate(lane, work, last.assignment.height, {}));
            results.push_back({.slot = {slot.process, slot.nonce + 1 + results.size()},
                .kind = done.kind,
                .output = std::move(done.output),
                .state_root = done.state_root,
                .gas = done.gas,
                .gas_used = done.gas_used});
        }
        return {};
    }));
    return results;
}

Result<AoCheckpoint> LocalCompute::ao_checkpoint(const units::Slot& slot)
{
    std::optional<AoCheckpoint> checkpoint;
    TRY_OK(with_state(slot, [&](Lane& lane) -> Result<void> {
        TRY(const auto file, images_.scratch(slot));
        if (const auto saved = lane.worker->save(*file, {}, false); !saved)
            return std::unexpected(saved.error());
        TRY(checkpoint, ao_checkpoint_of(*file));
        return {};
    }));
    return *std::move(checkpoint);
}

Result<std::vector<memory::PageRange>> LocalCompute::changes(const ProcessId& process, std::uint64_t from, std::uint64_t to)
{
    if (to < from)
        return fail(
            errors::unknown_slot, fmt::format("slot {} does not come after slot {}", to, from), "name the earlier slot first");
    TRY(const auto last, result({process, to}));
    std::vector<memory::PageRange> ranges;
    TRY_OK(with_state({process, from}, [&](Lane& lane) -> Result<void> {
        TRY_OK(lane.worker->mark());
        TRY_OK(replay(lane, {process, to}));
        TRY(ranges, lane.worker->changes());
        return {};
    }));
    return ranges;
}

}  // namespace altiplano::compute
