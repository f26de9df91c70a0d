#pragma once

#include "store/records.hpp"
#include "units/http_units.hpp"
#include "weave/follow.hpp"

/// What a node with some of the units needs around its clients of the others.
namespace altiplano::node {

/// A scheduler elsewhere, whose entries are handed out only once the copy of its weave has their height: what they may see of
/// the weave is then here (law 1).
class FollowingScheduler final : public units::Scheduler {
public:
    FollowingScheduler(std::unique_ptr<units::Scheduler> inner, weave::Follower& follower)
        : inner_(std::move(inner))
        , follower_(follower)
    {
    }
    Result<units::Assignment> assign(const item::DataItem& item) override { return inner_->assign(item); }
    Result<units::Assignment> assign(const units::AssignRequest& request) override { return inner_->assign(request); }
    Result<units::LogEntry> entry(const units::Slot& slot) override;
    Result<units::Closing> close(const ProcessId& process, std::int64_t until_ms) override;
    Result<std::uint64_t> slot_after(const ProcessId& process, std::int64_t timestamp_ms) override
    {
        return inner_->slot_after(process, timestamp_ms);
    }
    Result<units::Slot> slot_of(const ProcessId& process, const ItemId& message) override
    {
        return inner_->slot_of(process, message);
    }
    Result<units::ProcessInfo> process(const ProcessId& id) override { return inner_->process(id); }
    Result<Address> account(const ProcessId& id) override { return inner_->account(id); }
    Result<std::vector<ProcessId>> processes() override { return inner_->processes(); }
    Address address() const override { return inner_->address(); }

private:
    std::unique_ptr<units::Scheduler> inner_;
    weave::Follower& follower_;
};

/// A compute unit elsewhere, whose results are kept in this node's cache: the messenger takes outboxes from there, and a
/// result that comes differently the second time is found out (law 7).
class KeptCompute final : public units::Compute {
public:
    KeptCompute(std::unique_ptr<units::HttpCompute> inner, store::Cache& cache)
        : inner_(std::move(inner))
        , cache_(cache)
    {
    }
    Result<units::SlotResult> result(const units::Slot& slot) override;
    Result<std::optional<units::SlotResult>> stored(const units::Slot& slot) override;
    Result<units::CronReach> cron(const units::CronRequest& request) override { return inner_->cron(request); }
    Result<std::optional<units::Slot>> begins_after(const ProcessId& process) override { return inner_->begins_after(process); }
    Result<units::SlotResult> dry_run(const units::DryRun& run) override { return inner_->dry_run(run); }
    std::shared_ptr<void> watch(const ProcessId& process, std::function<void(const units::ConsolePiece&)> listener) override
    {
        return inner_->watch(process, std::move(listener));
    }
    Result<units::Assignment::Semantics> admit(const item::DataItem& process) { return inner_->admit(process); }

private:
    Result<units::SlotResult> keep(units::SlotResult result);

    std::unique_ptr<units::HttpCompute> inner_;
    store::Cache& cache_;
};

/// Stands where no messenger runs and no URL says where one does.
class NoMessenger final : public units::Messenger {
public:
    Result<Accepted> accept(const item::DataItem& item) override;
    Result<units::Assignment> assign(const units::AssignRequest& request) override;
};

}  // namespace altiplano::node
