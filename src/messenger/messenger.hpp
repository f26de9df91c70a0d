#pragma once

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "item/signer.hpp"
#include "messenger/elsewhere.hpp"
#include "messenger/outgoing.hpp"
#include "store/records.hpp"
#include "units/units.hpp"
#include "weave/weave.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <vector>

namespace altiplano::messenger {

/// The messenger of this node. What slots send is delivered in the order of the log and of the outbox; each item is
/// signed once, into the delivery ledger, before it is first sent, and sent until it is accepted (law 4).
class LocalMessenger final : public units::Messenger {
public:
    struct Options {
        std::size_t threads = 4;  ///< deliveries, and evaluations waited for, at once
        std::int64_t retry_ms = 250;  ///< first pause after a failure; doubles up to a minute
        std::uint64_t attempts_max = 30;  ///< at another's door that does not answer; then the delivery is dead
        std::uint64_t hops_max = 100'000;  ///< messages after one another that one message may set off; then the chain is dead
        std::int64_t cron_poll_ms = 10'000;  ///< how often processes under watch are looked after
        /// Stores an item for a wallet, durable when it returns; empty: in the weave of this node.
        std::function<Result<void>(const item::DataItem&)> store{};
        /// So many slots may be delivered before it is written how far. After a crash they are looked at again, which finds
        /// them delivered.
        std::uint64_t slots_unwritten = 0;
        std::size_t processes_unwritten = 1000;  ///< of so many; one more, and all of them are written together
        /// Asks schedulers that the weave names, so it has to have the rules of which addresses may be asked; null: none is
        /// asked.
        net::Http* http = nullptr;
    };
    LocalMessenger(units::Scheduler& scheduler, units::Compute& compute, weave::Weave& weave, store::Records& records,
        store::Cache& cache, const item::Signer& authority, Clock& clock, Options options);
    ~LocalMessenger() override;

    Result<Accepted> accept(const item::DataItem& item) override;
    Result<units::Assignment> assign(const units::AssignRequest& request) override;
    Result<ItemId> push(const units::Slot& slot, std::uint64_t index) override;
    Result<void> monitor(const item::DataItem& asking) override;
    Result<void> unmonitor(const item::DataItem& asking) override;

    void look_at(const ProcessId& process) override { wake(process); }

    /// Takes up every process again after a start: evaluates what has no result, delivers what is open, looks after cron.
    /// @return store.*
    Result<void> resume();

private:
    /// One process's deliveries; run by one thread at a time.
    struct Pump {
        bool running = false;
        bool again = false;
        std::int64_t pause_ms = 0;
    };
    void wake(const ProcessId& process);
    void run(const ProcessId& process);
    void wait_for_due();
    Result<void> store_for_wallet(const item::DataItem& item);
    Result<bool> send_elsewhere(const item::DataItem& item);

    // delivery.cpp
    Result<void> deliver_all(const ProcessId& process);
    Result<units::Slot> reached(const ProcessId& process);
    std::vector<units::Slot> written_now(const units::Slot& from, const units::Slot& at);
    void write_all_reached();
    Result<void> deliver_slot(const units::ProcessInfo& process, const units::SlotResult& result);
    Result<std::string> chain_of(const ProcessId& process, const units::LogEntry& cause);
    Result<store::DeliveryRecord> ledger_entry(
        const Source& source, std::uint64_t hops, const std::function<Result<item::Fields>()>& fields);
    Result<void> deliver(store::DeliveryRecord entry);
    Result<void> deliver_assignment(const store::OutboxRecord& record, const Source& source, std::uint64_t hops);
    Result<void> note(store::DeliveryRecord entry, const Result<void>& sent);
    Result<void> send(const item::DataItem& item);

    // monitor.cpp
    Result<std::optional<std::int64_t>> watched_since(const ProcessId& process);
    Result<ProcessId> asked_by_owner(const item::DataItem& asking);
    void look_after_cron();
    Result<void> poll();
    void begin_looking();

    units::Scheduler& scheduler_;
    units::Compute& compute_;
    weave::Weave& weave_;
    store::Records& records_;
    store::Cache& cache_;
    const item::Signer& authority_;
    Clock& clock_;
    Options options_;
    std::optional<Elsewhere> elsewhere_;
    std::atomic<bool> stopping_ = false;
    std::mutex mutex_;
    std::map<ProcessId, Pump> pumps_;
    struct Reached {
        units::Slot at;
        std::uint64_t written_nonce = 0;
    };
    std::map<ProcessId, Reached> unwritten_;  ///< how far deliveries came, where the records say less
    std::unique_ptr<Executor> executor_;
    std::multimap<std::int64_t, ProcessId> due_;  ///< by the monotonic time in nanoseconds at which a process is tried again
    bool waiting_ = false;  ///< whether wait_for_due() runs
    bool looking_ = false;  ///< whether look_after_cron() runs
    std::unique_ptr<Executor> later_;  ///< runs wait_for_due()
    std::unique_ptr<Executor> watch_;  ///< runs look_after_cron()
};

/// The code of every scheduler for a process that is not its own: it may be anywhere.
inline constexpr std::string_view scheduler_knows_no_such_process = "scheduler.unknown_process";
/// And for one that names another scheduler.
inline constexpr std::string_view scheduler_is_another = "scheduler.other_scheduler";
/// The code of every compute unit for a slot before the state that it went on from.
inline constexpr std::string_view compute_begins_later = "compute.before_checkpoint";

}  // namespace altiplano::messenger
