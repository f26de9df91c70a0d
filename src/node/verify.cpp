#include "node/verify.hpp"

#include "base/clock.hpp"
#include "compute/outcome.hpp"
#include "compute/recompute.hpp"
#include "compute/sandbox.hpp"
#include "scheduler/errors.hpp"
#include "scheduler/scheduler.hpp"
#include "store/sqlite/sqlite.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node {

Result<void> recompute(const DataFolder& folder, const ProcessId& process, std::optional<std::uint64_t> last,
    const std::optional<compute::Images::State>& start, const Path& modules, bool reference,
    const std::function<void(bool)>& isolated, const std::function<void(const units::SlotResult&)>& each)
{
    auto& files = system_files();
    TRY_OK(folder.check(files));
    TRY_OK(files.make_directories(modules));
    TRY_OK(files.set_private(modules));
    TRY(const auto records, store::open_records(folder.records(), {.to_read = true}));
    // The first read makes the files that readers share, so that they are there to be named below.
    TRY(const auto tip, records->tip());
    std::vector<std::unique_ptr<File>> layers;
    for (const auto& path : start ? start->layers : std::vector<Path>{}) {
        TRY(auto layer, files.open(path, Files::Mode::read));
        layers.push_back(std::move(layer));
    }
    const std::array<Path, 1> read{folder.blobs()};
    const std::array<Path, 4> write{
        folder.records(), Path(folder.records().string() + "-wal"), Path(folder.records().string() + "-shm"), modules};
    isolated(compute::allow_only_files(read, write));

    TRY(const auto blobs, store::Blobs::open_to_read(files, folder.blobs()));
    TRY(const auto weave, weave::Weave::open_to_read(*records, *blobs, system_clock()));
    scheduler::LogReader log(*weave, *records);
    TRY(const auto info, log.process(process));
    if (last && *last >= info.slots)
        return fail(scheduler::errors::unknown_slot,
            fmt::format("slot {} of {} is not there: its log has {} slots, from 0", *last, process.text(), info.slots));

    std::unique_ptr<compute::Recomputation> machine;
    std::optional<units::Assignment> previous;
    const auto end = last ? *last + 1 : info.slots;
    std::uint64_t first = 0;
    if (start) {
        if (start->nonce >= end)
            return fail(scheduler::errors::unknown_slot,
                fmt::format("there is nothing between the checkpoint at slot {} and slot {}", start->nonce, end - 1));
        TRY(const auto spawn, log.entry({process, 0}));
        TRY(machine, compute::Recomputation::resume(*weave, spawn, modules, reference, layers, start->root));
        TRY(auto before, log.entry({process, start->nonce}));
        previous = std::move(before.assignment);
        first = start->nonce + 1;
    }
    for (auto nonce = first; nonce < end; ++nonce) {
        TRY(auto entry, log.entry({process, nonce}));
        // The item that spawned the process names its scheduler, and its signature is checked here as well.
        const auto scheduler =
            machine ? machine->context().item.tags().first("Scheduler") : entry.message.tags().first("Scheduler");
        TRY_OK(log.check_entry(entry, previous ? &*previous : nullptr, std::string(scheduler.value_or(""))));
        if (nonce == 0) {
            if (ProcessId(entry.message.id()) != process)
                return fail(scheduler::errors::broken_log, fmt::format("slot 0 of {} is another process's", process.text()));
            TRY(machine, compute::Recomputation::begin(*weave, entry, modules, reference));
        }
        auto result = machine->next(entry);
        if (!result)
            return fail_while(fmt::format("slot {}", nonce), result.error());
        each(*result);
        previous = std::move(entry.assignment);
    }
    return {};
}

Result<std::vector<compute::Images::State>> checkpoints(const DataFolder& folder, const ProcessId& process)
{
    if (!system_files().exists(folder.cache()))
        return std::vector<compute::Images::State>{};
    TRY(const auto cache, store::open_cache(folder.cache(), {.to_read = true}));
    return compute::Images(*cache, system_files(), folder.images(), nullptr).states(process);
}

Result<std::optional<units::SlotResult>> recorded(const DataFolder& folder, const units::Slot& slot)
{
    if (!system_files().exists(folder.cache()))
        return std::optional<units::SlotResult>{};
    TRY(const auto cache, store::open_cache(folder.cache(), {.to_read = true}));
    TRY(const auto found, cache->result(slot.process, slot.nonce));
    if (!found)
        return std::optional<units::SlotResult>{};
    return std::optional(compute::from_record(*found));
}

std::string difference(const units::SlotResult& recorded, const units::SlotResult& recomputed)
{
    if (recorded.kind != recomputed.kind)
        return fmt::format(
            "the recorded outcome is {}, recomputed it is {}", units::name_of(recorded.kind), units::name_of(recomputed.kind));
    if (recorded.output != recomputed.output) {
        const auto [one, other] = std::ranges::mismatch(recorded.output, recomputed.output);
        return fmt::format("the recorded result has {} bytes, recomputed {}; they differ from byte {} on", recorded.output.size(),
            recomputed.output.size(), one - recorded.output.begin());
    }
    if (recorded.state_root != recomputed.state_root)
        return fmt::format(
            "the recorded state root is {}, recomputed it is {}", recorded.state_root.text(), recomputed.state_root.text());
    if (recorded.gas_used != recomputed.gas_used)
        return fmt::format("the recorded GasUsed is {}, recomputed it is {}", recorded.gas_used, recomputed.gas_used);
    if (recorded.gas != recomputed.gas)
        return fmt::format("the recorded gas is {}, recomputed it is {}", recorded.gas, recomputed.gas);
    return {};
}

}  // namespace altiplano::node
