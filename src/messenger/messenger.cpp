#include "messenger/messenger.hpp"

#include "base/counters.hpp"
#include "base/log.hpp"
#include "messenger/errors.hpp"
#include "messenger/outgoing.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace altiplano::messenger {

namespace {

constexpr std::int64_t pause_ms_max = 60'000;
// The scheduler may be anywhere: its codes are part of what units say to each other.
constexpr std::string_view scheduler_knows_no_such_process = "scheduler.unknown_process";
// The notice about a spawn has a place of its own in the ledger, after all places of the outbox.
constexpr std::uint64_t spawned_index = std::uint64_t{1} << 32;

std::string cursor_key(const ProcessId& process)
{
    return "delivered " + process.text();
}

/// Whether trying again later can help: this node's own troubles pass, a refusal stays one.
bool may_pass(std::string_view code)
{
    for (const std::string_view room :
        {"store.", "base.", "net.", "compute.worker", "compute.stopping", "compute.sandbox", "vm."})
        if (code.starts_with(room))
            return true;
    return false;
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
    , executor_(thread_pool("messenger", options_.threads))
    , later_(thread_pool("retry", 1))
{
}

LocalMessenger::~LocalMessenger()
{
    {
        // Under the mutex: whoever posts holds it and looks first, so nothing is posted to what is going away.
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    later_.reset();
    executor_.reset();
}

Result<units::Messenger::Accepted> LocalMessenger::accept(const item::DataItem& item)
{
    TRY_OK(item.verify());
    const auto type = item.tags().first("Type").value_or("(none)");
    if (type != "Message" && type != "Process")
        return fail(errors::not_a_message,
            fmt::format("the item {} has Type: {}; Message or Process was expected", item.id().text(), type),
            "an item that is only to be stored goes to POST /tx");
    TRY(const auto assignment, scheduler_.assign(item));
    wake(assignment.slot.process);
    return Accepted{.id = item.id(), .slot = assignment.slot};
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

Result<void> LocalMessenger::deliver_all(const ProcessId& process)
{
    std::uint64_t cursor = 0;
    TRY(const auto stored, records_.meta(cursor_key(process)));
    if (stored)
        std::from_chars(stored->data(), stored->data() + stored->size(), cursor);

    for (std::uint64_t from = cursor;; ++cursor) {
        TRY(const auto info, scheduler_.process(process));
        if (cursor >= info.slots || stopping_) {
            // Kept only so that a start need not look at every slot again; what counts is each delivery's own state.
            if (cursor == from)
                return {};
            return records_.write(
                [&](store::RecordsWriter& writer) { return writer.put_meta(cursor_key(process), std::to_string(cursor)); });
        }
        TRY(const auto result, compute_.result({process, cursor}));
        TRY_OK(deliver_slot(info, cursor));
    }
}

Result<void> LocalMessenger::deliver_slot(const units::ProcessInfo& process, std::uint64_t nonce)
{
    const units::Slot slot{process.id, nonce};
    TRY(const auto outbox, cache_.outbox(process.id, nonce));
    if (outbox.empty())
        return {};
    TRY(const auto cause, scheduler_.entry(slot));
    const auto began = cause.message.tags().first("Pushed-For");
    Source source{.slot = slot,
        .module = process.module,
        .scheduler = process.scheduler.text(),
        .pushed_for = began ? std::string(*began) : cause.message.id().text()};

    for (const auto& record : outbox) {
        source.index = record.index;
        if (record.kind == store::OutboxRecord::Kind::assignment) {
            TRY_OK(deliver_assignment(record, source));
            continue;
        }
        TRY(auto entry, ledger_entry(slot, record.index, [&] { return outgoing_fields(record, source); }));
        TRY_OK(deliver(entry));
        if (record.kind != store::OutboxRecord::Kind::spawn)
            continue;
        // The parent learns of its child only once that is there.
        TRY(const auto spawned, records_.delivery(process.id, nonce, record.index));
        if (!spawned || spawned->state != store::DeliveryRecord::State::accepted)
            continue;
        TRY(const auto child, item::DataItem::parse(spawned->item, UINT64_MAX));
        source.index = spawned_index + record.index;
        TRY(auto notice, ledger_entry(slot, source.index, [&] { return spawned_fields(child, source); }));
        TRY_OK(deliver(notice));
    }
    return {};
}

/// The signed item in the ledger; signed and written now if it is not there yet. What cannot be an item is dead at once.
Result<store::DeliveryRecord> LocalMessenger::ledger_entry(
    const units::Slot& slot, std::uint64_t index, const std::function<Result<item::Fields>()>& fields)
{
    TRY(const auto there, records_.delivery(slot.process, slot.nonce, index));
    if (there)
        return *there;
    store::DeliveryRecord entry{.process = slot.process, .nonce = slot.nonce, .index = index, .item = {}, .last_error = {}};
    const auto built = [&]() -> Result<item::DataItem> {
        TRY(auto made, fields());
        return item::build(std::move(made), authority_);
    }();
    if (built) {
        entry.item = built->wire();
    } else {
        entry.state = store::DeliveryRecord::State::dead;
        entry.last_error = fmt::format("{}: {}", built.error().code, built.error().sentence);
        log::warning("{}", entry.last_error);
    }
    TRY_OK(records_.write([&](store::RecordsWriter& writer) { return writer.put_delivery(entry); }));
    return entry;
}

Result<void> LocalMessenger::deliver(store::DeliveryRecord entry)
{
    if (entry.state != store::DeliveryRecord::State::signed_)
        return {};
    return note(entry, [&]() -> Result<void> {
        TRY(const auto item, item::DataItem::parse(entry.item, UINT64_MAX));
        return send(item);
    }());
}

/// Nothing is signed here: the scheduler of each process signs its own assignment, and the same again is the same.
Result<void> LocalMessenger::deliver_assignment(const store::OutboxRecord& record, const Source& source)
{
    const auto& slot = source.slot;
    TRY(auto entry, records_.delivery(slot.process, slot.nonce, record.index));
    if (entry && entry->state != store::DeliveryRecord::State::signed_)
        return {};
    if (!entry)
        entry = store::DeliveryRecord{
            .process = slot.process, .nonce = slot.nonce, .index = record.index, .item = {}, .last_error = {}};
    return note(*entry, [&]() -> Result<void> {
        TRY(const auto requests, assign_requests(record, source));
        for (const auto& request : requests) {
            TRY(const auto assignment, scheduler_.assign(request));
            wake(assignment.slot.process);
        }
        return {};
    }());
}

/// Writes down what became of an attempt. @return `sent` when it is to be tried again
Result<void> LocalMessenger::note(store::DeliveryRecord entry, const Result<void>& sent)
{
    ++entry.attempts;
    const auto counted = [](std::string_view outcome) -> counters::Counter& {
        return counters::counter("altiplano_deliveries_total", "Attempts to deliver what processes send, by what came of them.",
            {{"outcome", std::string(outcome)}});
    };
    static auto& accepted = counted("accepted");
    static auto& refused = counted("refused");
    static auto& tried_again = counted("tried again");
    (sent ? accepted : may_pass(sent.error().code) ? tried_again : refused).add();
    if (sent) {
        entry.state = store::DeliveryRecord::State::accepted;
        entry.last_error.clear();
    } else {
        entry.last_error = fmt::format("{}: {}", sent.error().code, sent.error().sentence);
        if (!may_pass(sent.error().code)) {
            entry.state = store::DeliveryRecord::State::dead;
            log::warning("message {} of slot {} of {} is not accepted: {}", entry.index, entry.nonce, entry.process.text(),
                entry.last_error);
        }
    }
    TRY_OK(records_.write([&](store::RecordsWriter& writer) { return writer.put_delivery(entry); }));
    return entry.state == store::DeliveryRecord::State::signed_ ? sent : Result<void>{};
}

/// To a process of this node, or, for any other target, into the weave, where a wallet finds it (ao-protocol.md 4.4).
Result<void> LocalMessenger::send(const item::DataItem& item)
{
    const bool spawns = item.tags().has("Type", "Process");
    if (!spawns) {
        ENSURE(item.target(), "outgoing_fields gives every message a target");
        const auto receiver = scheduler_.process(ProcessId(*item.target()));
        if (!receiver && receiver.error().code != scheduler_knows_no_such_process)
            return std::unexpected(receiver.error());
        if (!receiver && options_.store)
            return options_.store(item);
        if (!receiver) {
            TRY(auto staged, weave::stage_own(item, weave_.blobs()));
            TRY(const auto block, weave_.put({std::move(staged)}));
            return {};
        }
    }
    TRY(const auto assignment, scheduler_.assign(item));
    wake(assignment.slot.process);
    return {};
}

}  // namespace altiplano::messenger
