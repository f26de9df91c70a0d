#pragma once

#include "net/http.hpp"
#include "units/units.hpp"

#include <atomic>

/// Units elsewhere, by their URLs. Each first asks in our own wire, below `/~altiplano/`, which carries everything exactly; a
/// unit that does not know that is asked in AO's (ao-protocol.md 3-5), as far as that goes.
namespace altiplano::units {

/// What the three clients have in common: where the unit is, what it speaks, and how its errors become ours.
class RemoteUnit {
public:
    /// @param url  of the unit: `http://host:4003`, `http://host:4000/su` @param wait_ms  for an answer, results excepted
    RemoteUnit(net::Http& http, std::string url, std::int64_t wait_ms)
        : http_(http)
        , url_(std::move(url))
        , wait_ms_(wait_ms)
    {
    }
    const std::string& url() const noexcept { return url_; }
    /// Whether it speaks our wire; asked once, and again while nobody answers. @return net.*
    Result<bool> speaks_ours();
    /// @param patient  waits as long as it takes
    /// @return net.*; the unit's own error with its own code, units.refused for one without
    Result<net::Response> ask(std::string method, const std::string& path, Bytes body = {}, bool patient = false) const;

private:
    net::Http& http_;
    const std::string url_;
    const std::int64_t wait_ms_;
    std::atomic<int> ours_ = -1;
};

/// Gets an item that a unit's wire leaves out or damages: from the gateway.
using FetchItem = std::function<Result<item::DataItem>(const ItemId&)>;

/// A scheduler elsewhere. What it says of the log is verified: signatures of assignments and messages, and that they belong
/// together; the links between them are checked by whoever recomputes.
class HttpScheduler final : public Scheduler {
public:
    HttpScheduler(net::Http& http, std::string url, std::int64_t wait_ms, FetchItem fetch)
        : unit_(http, std::move(url), wait_ms)
        , fetch_(std::move(fetch))
    {
    }
    Result<Assignment> assign(const item::DataItem& item) override;
    Result<Assignment> assign(const AssignRequest& request) override;
    Result<LogEntry> entry(const Slot& slot) override;
    Result<std::uint64_t> slot_after(const ProcessId& process, std::int64_t timestamp_ms) override;
    Result<Slot> slot_of(const ProcessId& process, const ItemId& message) override;
    /// By AO's wire nothing is promised: units.not_offered.
    Result<Closing> close(const ProcessId& process, std::int64_t until_ms) override;
    Result<ProcessInfo> process(const ProcessId& id) override;
    Result<Address> account(const ProcessId& id) override;
    /// AO's wire has no such list: nothing is known then.
    Result<std::vector<ProcessId>> processes() override;
    /// Empty while it never answered.
    Address address() const override;

private:
    Result<LogEntry> entry_by_ao(const ProcessId& process, const std::string& id);

    mutable RemoteUnit unit_;
    FetchItem fetch_;
};

/// A compute unit elsewhere. By AO's wire a result has no gas and no state root, and is lossy where it is no text.
class HttpCompute final : public Compute {
public:
    /// @param scheduler  says which message is in a slot: AO's wire names results by message
    HttpCompute(net::Http& http, std::string url, std::int64_t wait_ms, Scheduler& scheduler)
        : unit_(http, std::move(url), wait_ms)
        , scheduler_(scheduler)
    {
    }
    Result<SlotResult> result(const Slot& slot) override;
    /// By AO's wire nothing is known to be stored.
    Result<std::optional<SlotResult>> stored(const Slot& slot) override;
    Result<CronReach> cron(const CronRequest& request) override;
    Result<std::optional<Slot>> begins_after(const ProcessId& process) override;
    Result<SlotResult> dry_run(const DryRun& run) override;
    /// What a guest prints stays at its unit: nothing is ever called.
    std::shared_ptr<void> watch(const ProcessId& process, std::function<void(const ConsolePiece&)> listener) override;

    /// What a new process would run under, asked before it gets its slot 0. @return units.not_offered by AO's wire;
    /// why it cannot run there
    Result<Assignment::Semantics> admit(const item::DataItem& process);

private:
    RemoteUnit unit_;
    Scheduler& scheduler_;
};

/// A messenger elsewhere, by AO's wire; one of ours says the slot as well.
class HttpMessenger final : public Messenger {
public:
    HttpMessenger(net::Http& http, std::string url, std::int64_t wait_ms, Scheduler& scheduler)
        : unit_(http, std::move(url), wait_ms)
        , scheduler_(scheduler)
    {
    }
    Result<Accepted> accept(const item::DataItem& item) override;
    Result<Assignment> assign(const AssignRequest& request) override;

private:
    RemoteUnit unit_;
    Scheduler& scheduler_;
};

/// The query of an assignment (3.4): `?process-id=..&assign=..`
std::string query_of(const AssignRequest& request);

}  // namespace altiplano::units
