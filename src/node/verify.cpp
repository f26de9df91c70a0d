#include "node/verify.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"
#include "compute/outcome.hpp"
#include "compute/sandbox.hpp"
#include "scheduler/errors.hpp"
#include "scheduler/scheduler.hpp"
#include "store/references.hpp"
#include "store/sqlite/sqlite.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sstream>

namespace altiplano::node {

Result<void> recompute(const DataFolder& folder, const Recompute& what, const std::function<void(bool)>& isolated,
    const std::function<void(const units::SlotResult&)>& each, const std::function<void(const ItemId&)>& opened)
{
    const auto& [process, until, start, modules, by, claims] = what;
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
    // Blobs, and the files that some of them refer to.
    TRY(const auto blobs, store::Blobs::open_to_read(files, folder.blobs()));
    TRY(auto read, store::all_referred(files, folder.blobs()));
    read.push_back(folder.blobs());
    const std::array<Path, 4> write{
        folder.records(), Path(folder.records().string() + "-wal"), Path(folder.records().string() + "-shm"), modules};
    isolated(compute::allow_only_files(read, write));

    TRY(const auto weave, weave::Weave::open_to_read(*records, *blobs, system_clock()));
    scheduler::LogReader log(*weave, *records);
    TRY(const auto info, log.process(process));
    for (const auto& slot : {until, start ? std::optional(start->slot) : std::nullopt})
        if (slot && slot->nonce >= info.slots)
            return fail(scheduler::errors::unknown_slot,
                fmt::format("slot {} of {} is not there: its log has {} slots, from 0", slot->nonce, process.text(), info.slots));
    if (start && until && *until <= start->slot)
        return fail(scheduler::errors::unknown_slot,
            fmt::format("nothing is between the checkpoint at slot {} and slot {}", start->slot.nonce, until->nonce));

    TRY(auto spawn, log.entry({process, 0}));
    if (ProcessId(spawn.message.id()) != process)
        return fail(scheduler::errors::broken_log, fmt::format("slot 0 of {} is another process's", process.text()));
    const std::string scheduler(spawn.message.tags().first("Scheduler").value_or(""));
    TRY_OK(log.check_entry(spawn, nullptr, scheduler));
    TRY(const auto machine,
        start ? compute::Recomputation::resume(*weave, spawn, modules, by, layers, start->root)
              : compute::Recomputation::begin(*weave, spawn, modules, by));

    machine->on_open(opened);
    machine->claim(claims);

    // Every entry is checked when it comes up, against the one before; cron looks at the one after.
    std::optional<units::Assignment> previous;
    if (start) {
        TRY(auto before, log.entry({process, start->slot.nonce}));
        previous = std::move(before.assignment);
    }
    const auto checked = [&](std::uint64_t nonce) -> Result<std::optional<units::LogEntry>> {
        if (nonce >= info.slots)
            return std::optional<units::LogEntry>{};
        TRY(auto entry, log.entry({process, nonce}));
        // The item that spawned the process names its scheduler, and its signature is checked here as well.
        if (!previous || previous->slot.nonce + 1 == nonce) {
            TRY_OK(log.check_entry(entry, previous ? &*previous : nullptr, scheduler));
            previous = entry.assignment;
        }
        return std::optional(std::move(entry));
    };
    const units::Closing closing{.time_ms = info.closed_ms, .height = info.closed_height};
    compute::LogWalk walk(process, machine->context().crons,
        {.entry = checked,
            .closing = [&]() -> Result<units::Closing> { return closing; },
            .block_time = [&](std::uint64_t height) -> Result<std::int64_t> {
                TRY(const auto block, weave->block(height));
                return block.timestamp_ms;
            }},
        start ? std::optional(start->slot) : std::nullopt);
    while (!until || !walk.at() || *walk.at() < *until) {
        TRY(const auto* const step, walk.peek());
        if (!step || (until && step->slot > *until))
            return {};
        auto result = machine->next(walk, *step);
        if (!result)
            return fail_while(fmt::format("slot {}", step->slot.nonce), result.error());
        each(*result);
        walk.pop();
    }
    return {};
}

Result<std::vector<compute::Images::State>> checkpoints(const DataFolder& folder, const ProcessId& process)
{
    if (!system_files().exists(folder.cache()))
        return std::vector<compute::Images::State>{};
    TRY(const auto cache, store::open_cache(folder.cache(), {.to_read = true}));
    compute::Images images(*cache, system_files(), folder.images(), nullptr);
    TRY(auto states, images.states(process));
    // One that begins a part is verified by the part before, which compares that slot's record.
    std::vector<compute::Images::State> recorded;
    for (auto& state : states) {
        TRY(const auto root, images.root_after(state.slot));
        if (root == state.root)
            recorded.push_back(std::move(state));
    }
    return recorded;
}

Result<std::optional<store::TrustedRecord>> trusted(const DataFolder& folder, const ProcessId& process)
{
    if (!system_files().exists(folder.cache()))
        return std::optional<store::TrustedRecord>{};
    TRY(const auto cache, store::open_cache(folder.cache(), {.to_read = true}));
    return cache->trusted(process);
}

Result<std::optional<units::SlotResult>> recorded(const DataFolder& folder, const units::Slot& slot)
{
    if (!system_files().exists(folder.cache()))
        return std::optional<units::SlotResult>{};
    TRY(const auto cache, store::open_cache(folder.cache(), {.to_read = true}));
    TRY(const auto found, cache->result(slot.process, slot.nonce, slot.cron));
    if (!found)
        return std::optional<units::SlotResult>{};
    return std::optional(compute::from_record(*found));
}

std::string difference(const units::SlotResult& recorded, const units::SlotResult& recomputed, bool said_only)
{
    if (recorded.kind != recomputed.kind)
        return fmt::format(
            "the recorded outcome is {}, recomputed it is {}", units::name_of(recorded.kind), units::name_of(recomputed.kind));
    if (recorded.output != recomputed.output) {
        const auto [one, other] = std::ranges::mismatch(recorded.output, recomputed.output);
        return fmt::format("the recorded result has {} bytes, recomputed {}; they differ from byte {} on", recorded.output.size(),
            recomputed.output.size(), one - recorded.output.begin());
    }
    if (said_only)
        return {};
    if (recorded.state_root != recomputed.state_root)
        return fmt::format(
            "the recorded state root is {}, recomputed it is {}", recorded.state_root.text(), recomputed.state_root.text());
    if (recorded.gas_used != recomputed.gas_used)
        return fmt::format("the recorded GasUsed is {}, recomputed it is {}", recorded.gas_used, recomputed.gas_used);
    if (recorded.time_ms != recomputed.time_ms || recorded.cron_name != recomputed.cron_name)
        return fmt::format("it is recorded as {} at {}, recomputed as {} at {}",
            recorded.cron_name.empty() ? "a message" : recorded.cron_name, recorded.time_ms,
            recomputed.cron_name.empty() ? "a message" : recomputed.cron_name, recomputed.time_ms);
    if (recorded.gas != recomputed.gas)
        return fmt::format("the recorded gas is {}, recomputed it is {}", recorded.gas, recomputed.gas);
    return {};
}

Buffer claimed_tokens(const units::SlotResult& recorded)
{
    const auto whole = JsonView::parse(recorded.output);
    if (!whole)
        return {};
    const auto response = whole->find("response");
    const auto generated = response ? response->find("Generated") : whole->find("Generated");
    const auto tokens = generated ? generated->find("Tokens") : std::nullopt;
    const auto text = tokens ? tokens->string() : std::nullopt;
    Buffer claim;
    std::istringstream words(text.value_or(""));
    for (std::int32_t token = 0; words >> token;)
        for (unsigned shift = 0; shift < 32; shift += 8)
            claim.push_back(static_cast<std::byte>(static_cast<std::uint32_t>(token) >> shift));
    return claim;
}

}  // namespace altiplano::node
