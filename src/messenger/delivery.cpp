// From the outbox of each slot into the ledger, and from there to whom it is for.
#include "base/counters.hpp"
#include "base/log.hpp"
#include "messenger/errors.hpp"
#include "messenger/messenger.hpp"
#include "net/errors.hpp"
#include "units/authority.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <set>

namespace altiplano::messenger {

namespace {

// The notice about a spawn has a place of its own in the ledger, after all places of the outbox.
constexpr std::uint64_t spawned_index = std::uint64_t{1} << 32;

std::string cursor_key(const ProcessId& process)
{
    return "delivered " + process.text();
}

/// "7" or "7.2": the next evaluation whose outbox is to be looked at.
units::Slot read_cursor(const ProcessId& process, std::string_view text)
{
    units::Slot at{process};
    const auto* const end = text.data() + text.size();
    const auto [dot, code] = std::from_chars(text.data(), end, at.nonce);
    if (code == std::errc{} && dot != end)
        std::from_chars(dot + 1, end, at.cron);
    return at;
}

Result<void> write_cursor(store::RecordsWriter& writer, const units::Slot& at)
{
    return writer.put_meta(cursor_key(at.process), fmt::format("{}.{}", at.nonce, at.cron));
}

/// Whether trying again later can help: this node's own troubles pass, a refusal stays one.
bool may_pass(std::string_view code)
{
    // An address that may not be asked stays one.
    if (code == net::errors::address_refused || code == net::errors::bad_url)
        return false;
    constexpr std::string_view rooms[] = {
        "store.", "base.", "net.", "compute.worker", "compute.stopping", "compute.sandbox", "vm.", errors::busy};
    for (const auto room : rooms)
        if (code.starts_with(room))
            return true;
    return false;
}

}  // namespace

Result<void> LocalMessenger::deliver_all(const ProcessId& process)
{
    TRY(auto at, reached(process));

    // What was passed already and is open again: somebody pushes it once more.
    TRY(const auto open, records_.open_deliveries(process));
    std::set<units::Slot> again;
    for (const auto& entry : open)
        if (const units::Slot of{process, entry.nonce, entry.cron}; of < at)
            again.insert(of);
    for (const auto& slot : again) {
        TRY(const auto info, scheduler_.process(process));
        const auto result = compute_.result(slot);
        if (!result && result.error().code == compute_begins_later) {
            for (const auto& entry : open)
                if (entry.nonce == slot.nonce && entry.cron == slot.cron && !entry.item.empty())
                    TRY_OK(deliver(entry));
            continue;
        }
        if (!result)
            return std::unexpected(result.error());
        TRY_OK(deliver_slot(info, *result));
    }

    // Each message, then what cron asked for after it; what is due before the next message is there once that is evaluated.
    // Whoever puts another into the log from now on wakes the process again.
    TRY(const auto info, scheduler_.process(process));
    for (const auto from = at;;) {
        if (at.cron == 0 && at.nonce < info.slots && !stopping_) {
            const auto result = compute_.result(at);
            if (!result && result.error().code == compute_begins_later) {
                // Whoever computed it delivered what it sent.
                TRY(const auto begins, compute_.begins_after(process));
                if (begins && *begins >= at) {
                    at = {process, begins->nonce, begins->cron + 1};
                    continue;
                }
            }
            if (!result)
                return std::unexpected(result.error());
            TRY_OK(deliver_slot(info, *result));
            at.cron = 1;
            continue;
        }
        if (at.cron > 0 && !stopping_) {
            TRY(auto tick, compute_.stored(at));
            const bool last = at.nonce + 1 >= info.slots;
            if (!tick && !last) {
                TRY(const auto next, compute_.result({process, at.nonce + 1}));
                TRY(tick, compute_.stored(at));
            }
            if (tick) {
                TRY_OK(deliver_slot(info, *tick));
                ++at.cron;
                continue;
            }
            if (!last) {
                at = {process, at.nonce + 1};
                continue;
            }
        }
        if (at == from)
            return {};
        const auto now = written_now(from, at);
        if (now.empty())
            return {};
        return records_.write([&](store::RecordsWriter& writer) -> Result<void> {
            for (const auto& one : now)
                TRY_OK(write_cursor(writer, one));
            return {};
        });
    }
}

/// The next evaluation whose outbox is to be looked at. Kept only so that a start need not look at every slot again: what
/// counts is each delivery's own state.
Result<units::Slot> LocalMessenger::reached(const ProcessId& process)
{
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = unwritten_.find(process); found != unwritten_.end())
            return found->second.at;
    }
    TRY(const auto stored, records_.meta(cursor_key(process)));
    return stored ? read_cursor(process, *stored) : units::Slot{process};
}

/// What is to be written of how far deliveries came. Nothing where a process came only a little further, which would cost each
/// message a sync; where those are too many to be remembered, all of them at once. Until that is done, whoever looks at one of
/// them may find an older place, and what was delivered since then delivered.
std::vector<units::Slot> LocalMessenger::written_now(const units::Slot& from, const units::Slot& at)
{
    const std::lock_guard lock(mutex_);
    std::vector<units::Slot> now;
    auto found = unwritten_.find(at.process);
    if (found == unwritten_.end()) {
        if (unwritten_.size() >= options_.processes_unwritten) {
            for (const auto& [process, one] : unwritten_)
                now.push_back(one.at);
            unwritten_.clear();
        }
        found = unwritten_.emplace(at.process, Reached{.at = from, .written_nonce = from.nonce}).first;
    }
    found->second.at = at;
    if (at.nonce - found->second.written_nonce >= options_.slots_unwritten) {
        unwritten_.erase(found);
        now.push_back(at);
    }
    return now;
}

/// At the end, so that the next start has nothing to look at again.
void LocalMessenger::write_all_reached()
{
    if (unwritten_.empty())
        return;
    const auto written = records_.write([&](store::RecordsWriter& writer) -> Result<void> {
        for (const auto& [process, one] : unwritten_)
            TRY_OK(write_cursor(writer, one.at));
        return {};
    });
    if (!written)
        log::warning("the next start looks again at what was delivered: {}", written.error().sentence);
}

/// The item that began the chain which a message belongs to. A message says so itself, and is believed when whoever signed it
/// is trusted with that; a client's word would be signed by us (ao-protocol.md 4.4).
Result<std::string> LocalMessenger::chain_of(const ProcessId& process, const units::LogEntry& cause)
{
    const auto began = cause.message.tags().first("Pushed-For");
    auto own = cause.message.id().text();
    if (!began)
        return own;
    if (cause.message.owner() == authority_.address())
        return std::string(*began);
    TRY(const auto spawn, scheduler_.entry({process, 0}));
    const auto& semantics = spawn.assignment.semantics;
    if (semantics && semantics->authority == cause.message.owner())
        return std::string(*began);
    return units::names_authority(spawn.message.tags(), cause.message.owner().text()) ? std::string(*began) : own;
}

Result<void> LocalMessenger::deliver_slot(const units::ProcessInfo& process, const units::SlotResult& result)
{
    const auto& slot = result.slot;
    TRY(const auto outbox, cache_.outbox(slot.process, slot.nonce, slot.cron));
    if (outbox.empty())
        return {};
    Source source{.slot = slot, .module = process.module, .scheduler = process.scheduler.text(), .pushed_for = {}};
    std::uint64_t hops = 1;
    if (slot.cron > 0) {
        // Nobody asked for what cron sends unless the process is watched (4.5).
        TRY(const auto since_ms, watched_since(slot.process));
        if (!since_ms || result.time_ms <= *since_ms)
            return {};
    } else {
        TRY(const auto cause, scheduler_.entry(slot));
        TRY(source.pushed_for, chain_of(slot.process, cause));
        TRY(const auto hop, records_.delivery_of(cause.message.id()));
        hops = hop ? hop->hops + 1 : 1;
    }

    for (const auto& record : outbox) {
        source.index = record.index;
        if (record.kind == store::OutboxRecord::Kind::assignment) {
            TRY_OK(deliver_assignment(record, source, hops));
            continue;
        }
        TRY(auto entry, ledger_entry(source, hops, [&] { return outgoing_fields(record, source); }));
        TRY_OK(deliver(entry));
        if (record.kind != store::OutboxRecord::Kind::spawn)
            continue;
        // The parent learns of its child only once that is there.
        TRY(const auto spawned, records_.delivery(slot.process, slot.nonce, record.index, slot.cron));
        if (!spawned || spawned->state != store::DeliveryRecord::State::accepted)
            continue;
        TRY(const auto child, item::DataItem::parse(spawned->item, UINT64_MAX));
        source.index = spawned_index + record.index;
        TRY(auto notice, ledger_entry(source, hops, [&] { return spawned_fields(child, source); }));
        TRY_OK(deliver(notice));
    }
    return {};
}

/// The signed item in the ledger; signed and written now if it is not there yet. What cannot be an item is dead at once, and
/// so is the end of a chain that never ends.
Result<store::DeliveryRecord> LocalMessenger::ledger_entry(
    const Source& source, std::uint64_t hops, const std::function<Result<item::Fields>()>& fields)
{
    const auto& slot = source.slot;
    TRY(const auto there, records_.delivery(slot.process, slot.nonce, source.index, slot.cron));
    if (there && (there->state != store::DeliveryRecord::State::signed_ || !there->item.empty()))
        return *there;
    auto entry = there.value_or(
        store::DeliveryRecord{.process = slot.process, .nonce = slot.nonce, .index = source.index, .item = {}, .last_error = {}});
    entry.cron = slot.cron;
    entry.hops = there ? there->hops : hops;
    const auto built = [&]() -> Result<item::DataItem> {
        TRY(auto made, fields());
        return item::build(std::move(made), authority_);
    }();
    std::optional<Error> dead;
    if (built) {
        entry.item = built->wire();
        entry.id = built->id();
        if (entry.hops > options_.hops_max)
            dead = Error{errors::too_many_hops,
                fmt::format("message {} of slot {} of {} is number {} of a chain that {} began; at most {} follow one another",
                    source.index, slot.nonce, slot.process.text(), entry.hops,
                    source.pushed_for.empty() ? "cron" : source.pushed_for, options_.hops_max),
                ""};
    } else {
        dead = built.error();
    }
    if (dead) {
        entry.state = store::DeliveryRecord::State::dead;
        entry.last_error = fmt::format("{}: {}", dead->code, dead->sentence);
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
Result<void> LocalMessenger::deliver_assignment(const store::OutboxRecord& record, const Source& source, std::uint64_t hops)
{
    const auto& slot = source.slot;
    TRY(auto entry, records_.delivery(slot.process, slot.nonce, record.index, slot.cron));
    if (entry && entry->state != store::DeliveryRecord::State::signed_)
        return {};
    if (!entry) {
        entry = store::DeliveryRecord{
            .process = slot.process, .nonce = slot.nonce, .index = record.index, .item = {}, .last_error = {}};
        entry->cron = slot.cron;
        entry->hops = hops;
    }
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
        // Another's trouble may last: what goes elsewhere is not held up by it for ever.
        const bool gives_up = sent.error().code.starts_with("net.") && entry.attempts >= options_.attempts_max;
        if (!may_pass(sent.error().code) || gives_up) {
            entry.state = store::DeliveryRecord::State::dead;
            log::warning("message {} of slot {} of {} is not accepted: {}", entry.index, entry.nonce, entry.process.text(),
                entry.last_error);
        }
    }
    TRY_OK(records_.write([&](store::RecordsWriter& writer) { return writer.put_delivery(entry); }));
    return entry.state == store::DeliveryRecord::State::signed_ ? sent : Result<void>{};
}

/// To a process, here or elsewhere, or, for any other target, into the weave, where a wallet finds it (ao-protocol.md 4.4).
Result<void> LocalMessenger::send(const item::DataItem& item)
{
    const bool spawns = item.tags().has("Type", "Process");
    if (!spawns) {
        ENSURE(item.target(), "outgoing_fields gives every message a target");
        const auto receiver = scheduler_.process(ProcessId(*item.target()));
        if (!receiver && receiver.error().code != scheduler_knows_no_such_process)
            return std::unexpected(receiver.error());
        if (!receiver) {
            TRY(const auto sent, send_elsewhere(item));
            return sent ? Result<void>{} : store_for_wallet(item);
        }
    }
    const auto assignment = scheduler_.assign(item);
    if (!assignment && spawns && assignment.error().code == scheduler_is_another) {
        TRY(const auto sent, send_elsewhere(item));
        if (sent)
            return {};
    }
    if (!assignment)
        return std::unexpected(assignment.error());
    wake(assignment->slot.process);
    return {};
}

Result<ItemId> LocalMessenger::push(const units::Slot& slot, std::uint64_t index)
{
    ItemId id;
    TRY_OK(records_.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY(auto entry, writer.delivery(slot.process, slot.nonce, index, slot.cron));
        if (!entry)
            return fail(errors::unknown_delivery,
                fmt::format("slot {} of {} has sent no message {}", slot.nonce, slot.process.text(), index));
        id = entry->id;
        entry->state = store::DeliveryRecord::State::signed_;
        entry->attempts = 0;
        entry->hops = 0;  // whoever pushes begins the chain anew
        entry->last_error.clear();
        return writer.put_delivery(*entry);
    }));
    wake(slot.process);
    return id;
}

}  // namespace altiplano::messenger
