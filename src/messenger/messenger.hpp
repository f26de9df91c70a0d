#pragma once

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "item/signer.hpp"
#include "messenger/outgoing.hpp"
#include "store/records.hpp"
#include "units/units.hpp"
#include "weave/weave.hpp"

#include <atomic>
#include <map>
#include <mutex>

namespace altiplano::messenger {

/// The messenger of this node. What slots send is delivered in the order of the log and of the outbox; each item is
/// signed once, into the delivery ledger, before it is first sent, and sent until it is accepted (law 4).
class LocalMessenger final : public units::Messenger {
public:
    struct Options {
        std::size_t threads = 4;  ///< deliveries, and evaluations waited for, at once
        std::int64_t retry_ms = 250;  ///< first pause after a failure; doubles up to a minute
        /// Stores an item for a wallet, durable when it returns; empty: in the weave of this node.
        std::function<Result<void>(const item::DataItem&)> store{};
    };
    LocalMessenger(units::Scheduler& scheduler, units::Compute& compute, weave::Weave& weave, store::Records& records,
        store::Cache& cache, const item::Signer& authority, Clock& clock, Options options);
    ~LocalMessenger() override;

    Result<Accepted> accept(const item::DataItem& item) override;
    Result<units::Assignment> assign(const units::AssignRequest& request) override;

    /// Takes up every process again after a start: evaluates what has no result, delivers what is open.
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
    Result<void> deliver_all(const ProcessId& process);
    Result<void> deliver_slot(const units::ProcessInfo& process, std::uint64_t nonce);
    Result<store::DeliveryRecord> ledger_entry(
        const units::Slot& slot, std::uint64_t index, const std::function<Result<item::Fields>()>& fields);
    Result<void> deliver(store::DeliveryRecord entry);
    Result<void> deliver_assignment(const store::OutboxRecord& record, const Source& source);
    Result<void> note(store::DeliveryRecord entry, const Result<void>& sent);
    Result<void> send(const item::DataItem& item);
    void wait_for_due();

    units::Scheduler& scheduler_;
    units::Compute& compute_;
    weave::Weave& weave_;
    store::Records& records_;
    store::Cache& cache_;
    const item::Signer& authority_;
    Clock& clock_;
    Options options_;
    std::atomic<bool> stopping_ = false;
    std::mutex mutex_;
    std::map<ProcessId, Pump> pumps_;
    std::unique_ptr<Executor> executor_;
    std::multimap<std::int64_t, ProcessId> due_;  ///< by the monotonic time in nanoseconds at which a process is tried again
    bool waiting_ = false;  ///< whether wait_for_due() runs
    std::unique_ptr<Executor> later_;  ///< runs wait_for_due()
};

}  // namespace altiplano::messenger
