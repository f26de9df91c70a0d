#pragma once

#include "base/clock.hpp"
#include "base/recent.hpp"
#include "item/signer.hpp"
#include "scheduler/quota.hpp"
#include "units/units.hpp"
#include "weave/weave.hpp"

#include <map>
#include <mutex>

namespace altiplano::scheduler {

/// The scheduler of this node. A published id that a process or a module here stands for is resolved when something is accepted
/// and when something is asked for; the log names the real one. Each assignment is one block of the weave: message, assignment
/// and log entry become durable together.
class LocalScheduler final : public units::Scheduler {
public:
    struct Options {
        /// Says which semantics a new process will run under, or refuses it. Called once per spawn, before anything is stored.
        std::function<Result<units::Assignment::Semantics>(const item::DataItem& process)> admit;
        /// Takes processes that name another scheduler as its own, so that clients with a built-in one work. For development.
        bool any_scheduler = false;
        /// Told of a process that a message was accepted for, before it is written: it may have to be prepared. Returns at once.
        /// What is told may yet fail to come, or have come before.
        std::function<void(const ProcessId& process)> coming{};
        std::uint64_t message_bytes_max = 0;  ///< of a whole item; 0: what HTTP lets in
        Quota::Limits quota{};
    };
    LocalScheduler(weave::Weave& weave, store::Records& records, const item::Signer& key, Clock& clock, Options options)
        : weave_(weave)
        , records_(records)
        , key_(key)
        , clock_(clock)
        , options_(std::move(options))
        , quota_(options_.quota)
    {
    }

    Result<units::Assignment> assign(const item::DataItem& item) override;
    Result<units::Assignment> assign(const units::AssignRequest& request) override;
    Result<std::uint64_t> slot_after(const ProcessId& process, std::int64_t timestamp_ms) override;
    Result<units::LogEntry> entry(const units::Slot& slot) override;
    Result<units::Slot> slot_of(const ProcessId& process, const ItemId& message) override;
    Result<units::Closing> close(const ProcessId& process, std::int64_t until_ms) override;
    Result<units::ProcessInfo> process(const ProcessId& id) override;
    Result<Address> account(const ProcessId& id) override;
    Result<std::vector<ProcessId>> processes() override { return records_.processes(); }
    Address address() const override { return key_.address(); }

private:
    /// What goes into a slot: an item that comes with the call, or one that the weave has.
    struct Entry {
        ProcessId process;
        ItemId message;
        std::optional<weave::NewItem> item{};
        std::optional<item::DataItem> whole{};  ///< the message, where it came with the call
        std::optional<store::ProcessRecord> spawned{};
        std::string account{};  ///< that answers for what is spawned
        std::optional<units::Assignment::Semantics> semantics{};
        std::vector<std::string> exclude{};
        std::optional<ItemId> sent_to{};
        std::optional<Digest> deep_hash{};  ///< of a message that a process sent
    };
    /// The process itself, or the one that a published id stands for.
    ProcessId real(const ProcessId& process);
    Result<std::optional<store::ProcessRecord>> find(const ProcessId& asked);
    struct Link {
        AssignmentId id;
        Digest hash_chain;
        std::int64_t timestamp_ms = 0;
    };
    Result<Link> link_of(store::RecordsWriter& records, const ProcessId& process, const AssignmentId& assignment);
    Result<store::ProcessRecord> admit(const item::DataItem& item);
    Result<std::string> account_for(const item::DataItem& spawn);
    struct Trust;
    Result<Trust> trust_of(const ProcessId& process);
    Result<std::optional<Digest>> deep_hash_of_pushed(const item::DataItem& item, const ProcessId& process);
    Result<units::Assignment> append(const Entry& entry);

    weave::Weave& weave_;
    store::Records& records_;
    const item::Signer& key_;
    Clock& clock_;
    Options options_;
    Quota quota_;
    std::map<ProcessId, Link> links_;  ///< the ends of logs that were appended to lately
    Recent<units::Slot, units::LogEntry> recent_;  ///< most are asked for at once, by whoever computes them
};

/// Reads logs: what the scheduler, and whoever recomputes, have in common. Every entry is checked for saying what the
/// log says of it; `check_entry` adds signatures and links.
class LogReader {
public:
    LogReader(weave::Weave& weave, store::RecordsReader& records)
        : weave_(weave)
        , records_(records)
    {
    }

    /// @return scheduler.unknown_process
    Result<store::ProcessRecord> process(const ProcessId& id);
    /// @return scheduler.unknown_process, scheduler.unknown_slot, scheduler.broken_log, weave.broken_item
    Result<units::LogEntry> entry(const units::Slot& slot);

    /// All that a doubter can check of an entry without computing: the signatures of message and assignment, the
    /// scheduler's address, the hash chain, times and heights that only grow, and the block that it names.
    /// @param previous  the entry of the slot before; null for slot 0
    /// @return scheduler.broken_log, weave.broken_item, weave.broken_block: which slot and what
    Result<void> check_entry(const units::LogEntry& entry, const units::Assignment* previous, const std::string& scheduler);

private:
    weave::Weave& weave_;
    store::RecordsReader& records_;
};

}  // namespace altiplano::scheduler
