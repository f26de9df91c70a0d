#include "messenger/messenger.hpp"

#include "base/log.hpp"
#include "messenger/errors.hpp"
#include "messenger/outgoing.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace altiplano::messenger {

namespace {

constexpr std::int64_t pause_ms_max = 60'000;

bool is_not_here(std::string_view code)
{
    return code == scheduler_knows_no_such_process || code == scheduler_is_another;
}

}  // namespace

LocalMessenger::LocalMessenger(units::Scheduler& scheduler, units::Compute& compute, weave::Weave& weave, store::Records& records,
    store::Cache& cache, const item::Signer& authority, Clock& clock, Options options)
    : scheduler_(scheduler)
    , compute_(compute)
    , weave_(weave)
    , records_(records)
    , cache_(cache)
    , authority_(authority)
    , clock_(clock)
    , options_(std::move(options))
    , executor_(thread_pool("messenger", options_.threads, options_.threads > 1 ? many_away : 0))
    , later_(thread_pool("retry", 1))
    , watch_(thread_pool("cron", 1))
{
    if (options_.http != nullptr)
        elsewhere_.emplace(scheduler_, weave_, records_, *options_.http);
}

LocalMessenger::~LocalMessenger()
{
    {
        // Under the mutex: whoever posts holds it and looks first, so nothing is posted to what is going away.
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    watch_.reset();
    later_.reset();
    executor_.reset();
    write_all_reached();
}

Result<units::Messenger::Accepted> LocalMessenger::accept(const item::DataItem& item)
{
    const auto type = item.tags().first("Type").value_or("(none)");
    if (type != "Message" && type != "Process")
        return fail(errors::not_a_message,
            fmt::format("the item {} has Type: {}; Message or Process was expected", item.id().text(), type),
            "an item that is only to be stored goes to POST /tx");

    // The scheduler verifies what it takes.
    const auto assignment = scheduler_.assign(item);
    if (!assignment && is_not_here(assignment.error().code)) {
        TRY_OK(item.verify());
        TRY(const auto sent, send_elsewhere(item));
        if (!sent && type == "Process")
            return std::unexpected(assignment.error());
        if (!sent)
            TRY_OK(store_for_wallet(item));
        return Accepted{.id = item.id(), .slot = std::nullopt};
    }
    if (!assignment)
        return std::unexpected(assignment.error());
    wake(assignment->slot.process);

    // A process item with a target is put into the log of that process as well (ao-protocol.md 4.2).
    if (type == "Process" && item.target())
        if (const auto told = assign({.process = ProcessId(*item.target()), .message = item.id()}); !told)
            log::warning("{} is not assigned to {}: {} ({})", item.id().text(), item.target()->text(), told.error().sentence,
                told.error().code);
    return Accepted{.id = item.id(), .slot = assignment->slot};
}

Result<units::Assignment> LocalMessenger::assign(const units::AssignRequest& request)
{
    TRY(auto assignment, scheduler_.assign(request));
    wake(assignment.slot.process);
    return assignment;
}

Result<void> LocalMessenger::resume()
{
    TRY(const auto processes, scheduler_.processes());
    for (const auto& process : processes)
        wake(process);
    begin_looking();
    return {};
}

void LocalMessenger::wake(const ProcessId& process)
{
    const std::lock_guard lock(mutex_);
    if (stopping_)
        return;  // the next start takes it up
    auto& pump = pumps_[process];
    if (pump.running) {
        pump.again = true;
        return;
    }
    pump.running = true;
    executor_->post([this, process] { run(process); });
}

void LocalMessenger::run(const ProcessId& process)
{
    const auto done = stopping_ ? Result<void>{} : deliver_all(process);
    const std::lock_guard lock(mutex_);
    auto& pump = pumps_[process];
    pump.running = false;
    if (stopping_ || (done && !pump.again)) {
        pumps_.erase(process);
        return;
    }
    pump.again = false;
    pump.pause_ms = done ? 0 : std::clamp(pump.pause_ms * 2, options_.retry_ms, pause_ms_max);
    pump.running = true;
    if (done) {
        executor_->post([this, process] { run(process); });
        return;
    }
    log::warning("{}: {} ({}); tried again in {} ms", process.text(), done.error().sentence, done.error().code, pump.pause_ms);
    due_.emplace(clock_.monotonic_ns() + pump.pause_ms * 1'000'000, process);
    if (!waiting_) {
        waiting_ = true;
        later_->post([this] { wait_for_due(); });
    }
}

/// Sleeps in short steps, so that a process with a long pause holds up neither another nor the end.
void LocalMessenger::wait_for_due()
{
    constexpr std::int64_t step_ms = 25;
    for (;;) {
        clock_.sleep_ms(step_ms);
        const std::lock_guard lock(mutex_);
        while (!stopping_ && !due_.empty() && due_.begin()->first <= clock_.monotonic_ns()) {
            executor_->post([this, process = due_.begin()->second] { run(process); });
            due_.erase(due_.begin());
        }
        if (stopping_ || due_.empty()) {
            waiting_ = false;
            return;
        }
    }
}

/// To the scheduler of a process that is not ours, if the weave says of one. Whoever serves that process computes it.
/// @return whether there is one
Result<bool> LocalMessenger::send_elsewhere(const item::DataItem& item)
{
    if (!elsewhere_)
        return false;
    TRY(const auto url, elsewhere_->scheduler_for(item));
    if (!url)
        return false;
    TRY_OK(elsewhere_->post(*url, item));
    return true;
}

/// Where a wallet finds it: in the weave.
Result<void> LocalMessenger::store_for_wallet(const item::DataItem& item)
{
    if (options_.store)
        return options_.store(item);
    TRY(auto staged, weave::stage_own(item, weave_.blobs()));
    TRY(const auto block, weave_.put({std::move(staged)}));
    return {};
}

}  // namespace altiplano::messenger
