#pragma once

#include "units/types.hpp"

#include <memory>

namespace altiplano::units {

/// Gives messages their slots and keeps the log. Safe from any thread.
class Scheduler {
public:
    virtual ~Scheduler() = default;

    /// Assigns a slot to a process item (slot 0 of a new process) or to a message for a process of this scheduler.
    /// Durable when it returns (law 3). The same item again gives the same assignment (law 4).
    /// @return scheduler.unknown_process, scheduler.missing_tag, scheduler.unknown_module, scheduler.unsupported_semantics, ...;
    ///         nothing is stored then
    virtual Result<Assignment> assign(const item::DataItem& item) = 0;

    /// Puts an item of the weave into the log. Durable when it returns; the same again gives the same assignment.
    /// @return scheduler.unknown_process, scheduler.unknown_item, scheduler.not_settled
    virtual Result<Assignment> assign(const AssignRequest& request) = 0;

    /// @return scheduler.unknown_process, scheduler.unknown_slot
    virtual Result<LogEntry> entry(const Slot& slot) = 0;
    /// The first slot whose timestamp is later, or the log's length. @return scheduler.unknown_process
    virtual Result<std::uint64_t> slot_after(const ProcessId& process, std::int64_t timestamp_ms) = 0;
    /// The slot that a message got; its assignment's id names it as well. @return scheduler.unknown_process,
    /// scheduler.unknown_message
    virtual Result<Slot> slot_of(const ProcessId& process, const ItemId& message) = 0;
    /// Promises, durably, that no later entry of the process has a timestamp at or before `until_ms` or, when that is
    /// earlier, now. @return how far it is promised, which may be further @return scheduler.unknown_process, units.not_offered
    virtual Result<Closing> close(const ProcessId& process, std::int64_t until_ms);
    /// @return scheduler.unknown_process
    virtual Result<ProcessInfo> process(const ProcessId& id) = 0;
    /// Who answers for what a process takes of this node: whoever signed its spawn, or when a process spawned it, whoever answers
    /// for that one. @return scheduler.unknown_process
    virtual Result<Address> account(const ProcessId& process);
    /// Every process, by id.
    virtual Result<std::vector<ProcessId>> processes() = 0;
    virtual Address address() const = 0;
};

/// Turns the log into results. Safe from any thread.
class Compute {
public:
    virtual ~Compute() = default;

    /// The result of a slot; evaluates what is missing up to it and waits. Each slot is evaluated in order, once.
    /// @return a host fault (compute.worker_died, drive.item_missing, ...): nothing was recorded, ask again;
    ///         scheduler.* for a slot that is not in the log
    virtual Result<SlotResult> result(const Slot& slot) = 0;
    /// The result if it is there already; evaluates nothing.
    virtual Result<std::optional<SlotResult>> stored(const Slot& slot) = 0;

    /// Results that are there, in the order of their slots or against it; evaluates nothing. @return units.not_offered
    virtual Result<std::vector<SlotResult>> results(const ResultQuery& query);
    /// Evaluates messages and what is due by cron up to a time, in order; done when nothing is left.
    /// @return as `result`; compute.cron_parked, units.not_offered
    virtual Result<CronReach> cron(const CronRequest& request);

    /// Where results of a process begin: after this evaluation, whose state came from somebody else. Nothing: at slot 0.
    virtual Result<std::optional<Slot>> begins_after(const ProcessId& process);

    /// What the newest state answers to a message that changes nothing: evaluates the log to its end first.
    /// @return as `result`; compute.bad_dry_run; scheduler.unknown_process
    virtual Result<SlotResult> dry_run(const DryRun& run) = 0;

    /// Calls `listener` for what the guest prints while slots of `process` run, from any thread, until the returned
    /// handle is destroyed (which waits for a call under way). Pieces printed before are not repeated.
    virtual std::shared_ptr<void> watch(const ProcessId& process, std::function<void(const ConsolePiece&)> listener) = 0;
};

/// Takes messages in and delivers what processes send. Safe from any thread.
class Messenger {
public:
    virtual ~Messenger() = default;

    struct Accepted {
        ItemId id;
        std::optional<Slot> slot;  ///< absent when the target is a wallet: the item is then only stored
    };
    /// Verifies, stores and schedules an item; durable when it returns. Its result is computed and its outbox delivered
    /// afterwards. The same item again gives the same answer.
    /// @return item.*, messenger.*, scheduler.*; nothing is stored then
    virtual Result<Accepted> accept(const item::DataItem& item) = 0;

    /// Sends once more what a slot sent at that place of its outbox, dead or not: the same signed item.
    /// @return its id, zero for an assignment; messenger.unknown_delivery, units.not_offered
    virtual Result<ItemId> push(const Slot& slot, std::uint64_t index);
    /// Looks after the cron of a process, and delivers what it sends, from now on. @param asking  signed by the owner of the
    /// process, which is its target @return messenger.not_allowed, messenger.already_monitored, item.bad_signature, ...
    virtual Result<void> monitor(const item::DataItem& asking);
    /// No longer. @return messenger.not_allowed, messenger.not_monitored, ...
    virtual Result<void> unmonitor(const item::DataItem& asking);

    /// Something was put into the log of a process by another way: it is computed, and delivered what comes of it.
    virtual void look_at(const ProcessId& process) { static_cast<void>(process); }

    /// Assigns an item of the weave to a process, and delivers what comes of it.
    /// @return scheduler.*
    virtual Result<Assignment> assign(const AssignRequest& request) = 0;
};

}  // namespace altiplano::units
