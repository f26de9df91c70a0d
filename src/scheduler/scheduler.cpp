#include "scheduler/scheduler.hpp"

#include "base/counters.hpp"
#include "item/deep_hash.hpp"
#include "scheduler/errors.hpp"
#include "units/assignment.hpp"
#include "units/authority.hpp"
#include "weave/errors.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace altiplano::scheduler {

namespace {

std::unexpected<Error> unknown_process(const ProcessId& id)
{
    return fail(errors::unknown_process, fmt::format("there is no process {} here", id.text()), "`altiplano spawn` makes one");
}

Result<units::Assignment> read_stored(weave::Weave& weave, const AssignmentId& id)
{
    TRY(auto item, weave.whole(ItemId(id)));
    return units::read_assignment(std::move(item));
}

}  // namespace

Result<units::Assignment> LocalScheduler::assign(const item::DataItem& item)
{
    // In the order of ao-protocol.md 3.2, with the words that clients look for. First that it is what was signed.
    TRY_OK(item.verify());
    const auto& tags = item.tags();
    const auto type = tags.first("Type") ? tags.first("Type") : tags.first("type");
    if (!type)
        return fail(errors::missing_tag, fmt::format("Type tag not present: the item {} says not what it is", item.id().text()));
    const bool spawns = type == "Process";
    if (!spawns && type != "Message")
        return fail(errors::bad_tag,
            fmt::format(
                "Unsupported Type tag value: the item {} has {}; Message or Process was expected", item.id().text(), *type));
    if (!spawns && !item.target())
        return fail(errors::no_target, fmt::format("the message {} names no process as its target", item.id().text()));
    if (options_.message_bytes_max > 0 && item.wire().size() > options_.message_bytes_max)
        return fail(errors::over_limit,
            fmt::format("Message size exceeds maximum of {} bytes: the item {} has {}", options_.message_bytes_max,
                item.id().text(), item.wire().size()));
    std::optional<store::ProcessRecord> there;
    if (!spawns) {
        TRY(there, find(ProcessId(*item.target())));
    }
    const ProcessId process = spawns ? ProcessId(item.id()) : there ? there->id : ProcessId(*item.target());

    // The same item again gets the same answer (law 4). Of messages the transaction finds out, which looks anyway.
    if (spawns) {
        TRY(const auto known, records_.log_of(process, item.id()));
        if (known)
            return read_stored(weave_, known->assignment);
    }

    if (!tags.has("Data-Protocol", "ao"))
        return fail(errors::missing_tag,
            fmt::format("Data-Protocol tag not present: the item {} has no tag Data-Protocol: ao", item.id().text()));
    for (const auto& tag : tags)
        if (tag.name.ends_with("+link") || tag.value.ends_with("+link"))
            return fail(
                errors::bad_tag, fmt::format("the tag {} ends in +link, which names a link of another network", tag.name));

    // A process is admitted before anything is stored; a message needs a process.
    Entry entry{.process = process, .message = item.id()};
    if (spawns) {
        TRY(entry.spawned, admit(item));
        TRY(entry.account, account_for(item));
        TRY_OK(quota_.check(records_, entry.account, clock_.wall_ms()));  // before it costs a compilation
        TRY(entry.semantics, options_.admit(item));
        // An alias may have led to another module than the one that is named.
        entry.spawned->module = entry.semantics->module.value_or(entry.spawned->module);
    } else {
        if (!there)
            return unknown_process(process);
        if (ProcessId(*item.target()) != process)
            entry.sent_to = ItemId(*item.target());
        TRY(entry.deep_hash, deep_hash_of_pushed(item, process));
        if (entry.deep_hash) {
            TRY(const auto first, records_.seen(process, *entry.deep_hash));
            if (first) {
                TRY(const auto of_first, records_.log_of(process, *first));
                ENSURE(of_first, "a message is seen in the transaction that puts it into the log");
                return read_stored(weave_, of_first->assignment);
            }
        }
    }
    TRY(entry.item, weave::stage_own(item, weave_.blobs()));
    entry.whole = item;
    if (options_.coming && !spawns)
        options_.coming(process);
    return append(entry);
}

/// What a process item must say to be one of ours.
Result<store::ProcessRecord> LocalScheduler::admit(const item::DataItem& item)
{
    const auto module = item.tags().first("Module");
    const auto named = item.tags().first("Scheduler");
    if (!module || !named)
        return fail(errors::missing_tag,
            fmt::format("Required Module and Scheduler tags for Process type not present: the item {} has no tag {}",
                item.id().text(), module ? "Scheduler" : "Module"));
    const auto module_id = ModuleId::parse(*module);
    if (!module_id)
        return fail(errors::bad_tag, fmt::format("the tag Module of {} is no id: {}", item.id().text(), *module));
    if (const auto boot = item.tags().first("On-Boot"); boot && boot != "Data") {
        const auto boot_id = ItemId::parse(*boot);
        if (!boot_id || !weave_.item(*boot_id))
            return fail(errors::bad_tag, fmt::format("Invalid tx id for On-Boot tag: {} is no item of this weave", *boot),
                "it is Data, or the id of an item");
    }
    store::ProcessRecord record{
        .id = ProcessId(item.id()), .module = *module_id, .owner = item.owner().text(), .scheduler = address().text()};
    if (*named != record.scheduler && !options_.any_scheduler)
        return fail(
            errors::other_scheduler, fmt::format("the process names the scheduler {}, this one is {}", *named, record.scheduler));
    return record;
}

/// Whom a process trusts as a forwarder.
struct LocalScheduler::Trust {
    item::Tags tags;
    std::optional<Address> added;  ///< by slot 0
    bool by(std::string_view address) const
    {
        return (added && added->text() == address) || units::names_authority(tags, address);
    }
};
Result<LocalScheduler::Trust> LocalScheduler::trust_of(const ProcessId& process)
{
    TRY(const auto spawn, weave_.item(ItemId(process)));
    TRY(const auto first, records_.log(process, 0));
    ENSURE(first, "a process has slot 0 from the transaction that made it");
    TRY(const auto admitted, read_stored(weave_, first->assignment));
    return Trust{.tags = spawn.header.tags(), .added = admitted.semantics ? admitted.semantics->authority : std::nullopt};
}

/// A spawn that a process sent is signed by its messenger, which would otherwise answer for all of them.
Result<std::string> LocalScheduler::account_for(const item::DataItem& spawn)
{
    auto signer = spawn.owner().text();
    const auto parent = ProcessId::parse(spawn.tags().first("From-Process").value_or(""));
    if (!parent)
        return signer;
    TRY(const auto there, records_.process(*parent));
    if (!there)
        return signer;
    TRY(const auto trusted, trust_of(*parent));
    return trusted.by(signer) ? Quota::account_of(records_, *parent) : Result<std::string>(std::move(signer));
}

Result<Address> LocalScheduler::account(const ProcessId& id)
{
    TRY(auto account, Quota::account_of(records_, real(id)));
    return Address(std::move(account));
}

/// For messages that processes sent. Whoever a process trusts as a forwarder may say that, and nobody else may pretend to be one
/// (4.2). What two forwarders bring, or one of them twice under another signature, is one message: its deep hash, without owner
/// and Pushed-For, tells (3.2). Only forwarders can use a hash up, so that no stranger keeps a message out by bringing it first.
Result<std::optional<Digest>> LocalScheduler::deep_hash_of_pushed(const item::DataItem& item, const ProcessId& process)
{
    const auto from = item.tags().first("From-Process");
    if (!from)
        return std::optional<Digest>{};
    TRY(const auto trusted, trust_of(process));
    if (!trusted.by(item.owner().text())) {
        if (trusted.by(*from))
            return fail(errors::bad_tag,
                fmt::format("Invalid From-Process value.: {} is trusted by the process {} and did not sign the item {}", *from,
                    process.text(), item.id().text()));
        return std::optional<Digest>{};
    }

    std::vector<std::pair<std::string_view, std::string_view>> tags;
    for (const auto& tag : item.tags())
        if (tag.name != "Pushed-For")
            tags.emplace_back(tag.name, tag.value);
    std::ranges::sort(tags);
    std::vector<Sha384> tag_hashes;
    tag_hashes.reserve(tags.size());
    for (const auto& [name, value] : tags)
        tag_hashes.push_back(
            item::deep_hash_list(std::array{item::deep_hash_blob(as_bytes(name)), item::deep_hash_blob(as_bytes(value))}));
    const auto target = item.target() ? to_buffer(item.target()->bytes()) : Buffer{};
    return std::optional(
        sha256(item::deep_hash_list(std::array{item::deep_hash_blob(as_bytes("dataitem")), item::deep_hash_blob(as_bytes("1")),
            item::deep_hash_blob(as_bytes("1")), item::deep_hash_blob({}), item::deep_hash_blob(target),
            item::deep_hash_blob(item.anchor()), item::deep_hash_list(tag_hashes), item::deep_hash_blob(item.data())})));
}

ProcessId LocalScheduler::real(const ProcessId& process)
{
    const auto there = find(process);
    return there && *there ? (*there)->id : process;
}

Result<std::optional<store::ProcessRecord>> LocalScheduler::find(const ProcessId& asked)
{
    TRY(auto there, records_.process(asked));
    if (there)
        return there;
    const auto local = weave_.real(ItemId(asked));
    if (!local || *local == ItemId(asked))
        return there;
    return records_.process(ProcessId(*local));
}

Result<units::Assignment> LocalScheduler::assign(const units::AssignRequest& request)
{
    const auto process = real(request.process);
    const auto& [asked, message, base_layer, exclude] = request;
    TRY(const auto there, records_.process(process));
    if (!there)
        return unknown_process(process);
    TRY(const auto known, records_.log_of(process, message));
    if (known)
        return read_stored(weave_, known->assignment);
    const auto stored = weave_.item(message);
    if (!stored && stored.error().code == weave::errors::unknown_item)
        return fail(
            errors::unknown_item, fmt::format("the item {} is not in this weave, so it cannot be assigned", message.text()));
    if (!stored)
        return std::unexpected(stored.error());
    if (base_layer) {
        TRY(const auto spawn, weave_.item(ItemId(process)));
        std::uint64_t depth = 20;
        const auto text = spawn.header.tags().first("Settlement-Depth").value_or("20");
        std::from_chars(text.data(), text.data() + text.size(), depth);
        TRY(const auto tip, weave_.tip());
        if (tip.height - stored->height < depth)
            return fail(errors::not_settled,
                fmt::format("the item {} has {} blocks on top of it; the process asks for {}", message.text(),
                    tip.height - stored->height, depth));
    }
    return append({.process = process, .message = message, .exclude = exclude});
}

/// What the next link needs of an assignment, which is the end of its log. Inside a transaction, so on the records' one writing
/// thread. What is remembered counts only for the assignment that the log names: one that was undone is never named.
Result<LocalScheduler::Link> LocalScheduler::link_of(
    store::RecordsWriter& records, const ProcessId& process, const AssignmentId& assignment)
{
    constexpr std::size_t links_max = 10'000;
    if (const auto known = links_.find(process); known != links_.end() && known->second.id == assignment)
        return known->second;
    if (links_.size() > links_max)
        links_.clear();
    TRY(const auto stored, records.item(ItemId(assignment)));
    if (!stored)
        return fail(errors::broken_log, fmt::format("the assignment {} is missing", assignment.text()));
    TRY(auto header, item::Header::parse(stored->header, UINT64_MAX));
    TRY(const auto read, units::read_assignment(item::join(std::move(header), {})));
    return Link{.id = read.id, .hash_chain = read.hash_chain, .timestamp_ms = read.timestamp_ms};
}

/// Gives an entry its slot: the end of the log, linked to the entry before, at the height of the weave's tip.
Result<units::Assignment> LocalScheduler::append(const Entry& entry)
{
    std::optional<units::Assignment> assigned;
    auto message = entry.message;
    TRY_OK(weave_.seal([&](store::RecordsWriter& records, const weave::Block& tip) -> Result<std::vector<weave::NewItem>> {
        assigned.reset();
        TRY(const auto raced, records.log_of(entry.process, entry.message));
        if (raced)
            return std::vector<weave::NewItem>{};
        if (entry.deep_hash) {
            TRY(const auto first, records.seen(entry.process, *entry.deep_hash));
            if (first) {
                message = *first;
                return std::vector<weave::NewItem>{};
            }
            TRY_OK(records.put_seen(entry.process, *entry.deep_hash, entry.message));
        }
        units::AssignmentFields fields{.slot = {entry.process, 0},
            .message = entry.message,
            .hash_chain = units::first_link(entry.process),
            .height = tip.height,
            .block_hash = tip.hash,
            .timestamp_ms = clock_.wall_ms(),
            .semantics = entry.semantics,
            .exclude = entry.exclude,
            .sent_to = entry.sent_to};
        if (entry.spawned) {
            TRY_OK(records.put_process(*entry.spawned));
            TRY_OK(quota_.charge(records, *entry.spawned, entry.account, fields.timestamp_ms));
        } else {
            TRY(const auto there, records.process(entry.process));
            ENSURE(there && there->slots > 0, "a process has slot 0 from the transaction that made it");
            fields.slot.nonce = there->slots;
            TRY(const auto last, records.log(entry.process, there->slots - 1));
            ENSURE(last, "slots count the log's entries");
            TRY(const auto previous, link_of(records, entry.process, last->assignment));
            fields.hash_chain = units::next_link(previous.id, previous.hash_chain);
            // Also after every time that was promised to be settled.
            fields.timestamp_ms = std::max(fields.timestamp_ms, std::max(previous.timestamp_ms, there->closed_ms) + 1);
        }
        TRY(auto made, units::sign_assignment(fields, key_));
        std::vector<weave::NewItem> items;
        if (entry.item)
            items.push_back(*entry.item);
        TRY(auto assignment_item, weave::stage_own(made.item, weave_.blobs()));
        items.push_back(std::move(assignment_item));
        TRY_OK(records.append_log(
            {.process = entry.process, .nonce = fields.slot.nonce, .message = entry.message, .assignment = made.id}));
        links_.insert_or_assign(
            entry.process, Link{.id = made.id, .hash_chain = made.hash_chain, .timestamp_ms = made.timestamp_ms});
        assigned = std::move(made);
        return items;
    }));
    if (assigned) {
        static auto& assignments = counters::counter("altiplano_assignments_total", "Messages and processes that got a slot.");
        assignments.add();
        if (entry.whole)
            recent_.add(assigned->slot, {.assignment = *assigned, .message = *entry.whole}, entry.whole->data().size());
        return *std::move(assigned);
    }
    TRY(const auto raced, records_.log_of(entry.process, message));
    ENSURE(raced, "the transaction has seen it");
    return read_stored(weave_, raced->assignment);
}

Result<std::uint64_t> LocalScheduler::slot_after(const ProcessId& asked, std::int64_t timestamp_ms)
{
    const auto process = real(asked);
    TRY(const auto there, records_.process(process));
    if (!there)
        return unknown_process(process);
    // Timestamps grow strictly, so halves decide.
    std::uint64_t low = 0;
    std::uint64_t high = there->slots;
    while (low < high) {
        const auto middle = low + (high - low) / 2;
        TRY(const auto entry, records_.log(process, middle));
        if (!entry)
            return fail(errors::broken_log, fmt::format("slot {} of {} is missing", middle, process.text()));
        TRY(const auto assignment, read_stored(weave_, entry->assignment));
        if (assignment.timestamp_ms > timestamp_ms)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

Result<units::Closing> LocalScheduler::close(const ProcessId& process, std::int64_t until_ms)
{
    TRY(auto there, records_.process(process));
    if (!there)
        return unknown_process(process);
    const auto time_ms = std::min(until_ms, clock_.wall_ms());
    if (there->closed_ms < time_ms) {
        TRY_OK(records_.write([&](store::RecordsWriter& writer) -> Result<void> {
            TRY(there, writer.process(process));
            ENSURE(there, "processes are never removed");
            if (there->closed_ms >= time_ms)
                return {};
            TRY(const auto tip, writer.tip());
            ENSURE(tip, "a weave has block 0");
            there->closed_ms = time_ms;
            there->closed_height = tip->height;
            return writer.close_process(process, there->closed_ms, there->closed_height);
        }));
    }
    return units::Closing{.time_ms = there->closed_ms, .height = there->closed_height};
}

Result<units::LogEntry> LocalScheduler::entry(const units::Slot& slot)
{
    if (const auto recent = recent_.find(slot))
        return *recent;
    return LogReader(weave_, records_).entry({real(slot.process), slot.nonce});
}

Result<units::Slot> LocalScheduler::slot_of(const ProcessId& asked, const ItemId& message)
{
    const auto process = real(asked);
    TRY(const auto there, records_.process(process));
    if (!there)
        return unknown_process(process);
    TRY(const auto found, records_.log_of(process, message));
    if (!found) {
        // The id may be that of the assignment: what `assign` answers (ao-protocol.md 3.6).
        if (const auto assignment = read_stored(weave_, AssignmentId(message));
            assignment && assignment->slot.process == process) {
            TRY(const auto entry, records_.log(process, assignment->slot.nonce));
            if (entry && entry->assignment == assignment->id)
                return assignment->slot;
        }
        return fail(errors::unknown_message, fmt::format("the message {} has no slot in {}", message.text(), process.text()));
    }
    return units::Slot{process, found->nonce};
}

Result<units::ProcessInfo> LocalScheduler::process(const ProcessId& id)
{
    TRY(const auto found, LogReader(weave_, records_).process(real(id)));
    return units::ProcessInfo{.id = found.id,
        .module = found.module,
        .owner = Address(found.owner),
        .scheduler = Address(found.scheduler),
        .slots = found.slots};
}

Result<store::ProcessRecord> LogReader::process(const ProcessId& id)
{
    TRY(const auto found, records_.process(id));
    if (!found)
        return unknown_process(id);
    return *found;
}

Result<units::LogEntry> LogReader::entry(const units::Slot& slot)
{
    TRY(const auto found, records_.log(slot.process, slot.nonce));
    if (!found) {
        TRY(const auto info, process(slot.process));
        return fail(errors::unknown_slot,
            fmt::format("slot {} of {} is not there: its log has {} slots, from 0", slot.nonce, slot.process.text(), info.slots));
    }
    // What the log names is in the weave from the transaction that wrote the entry: if not, the log was changed.
    const auto broken = [&](const Error& error) -> std::unexpected<Error> {
        if (error.code == weave::errors::unknown_item)
            return fail(errors::broken_log, fmt::format("slot {} of {}: {}", slot.nonce, slot.process.text(), error.sentence));
        return fail_while(fmt::format("slot {} of {}", slot.nonce, slot.process.text()), error);
    };
    auto assignment = read_stored(weave_, found->assignment);
    if (!assignment)
        return broken(assignment.error());
    if (assignment->slot != slot || assignment->message != found->message)
        return fail(errors::broken_log,
            fmt::format("the log has message {} in slot {}, but its assignment {} says message {} in slot {}",
                found->message.text(), slot.nonce, assignment->id.text(), assignment->message.text(), assignment->slot.nonce));
    auto message = weave_.whole(found->message);
    if (!message)
        return broken(message.error());
    return units::LogEntry{.assignment = *std::move(assignment), .message = *std::move(message)};
}

Result<void> LogReader::check_entry(const units::LogEntry& entry, const units::Assignment* previous, const std::string& scheduler)
{
    const auto& assignment = entry.assignment;
    const auto broken = [&](std::string what) {
        return fail(errors::broken_log, fmt::format("slot {}: {}", assignment.slot.nonce, what));
    };

    if (const auto signed_ = assignment.item.verify(); !signed_)
        return broken(fmt::format("the assignment {}: {}", assignment.id.text(), signed_.error().sentence));
    if (const auto signed_ = entry.message.verify(); !signed_)
        return broken(fmt::format("the message {}: {}", entry.message.id().text(), signed_.error().sentence));
    if (assignment.item.owner().text() != scheduler)
        return broken(fmt::format(
            "the assignment is signed by {}, the process's scheduler is {}", assignment.item.owner().text(), scheduler));

    const auto chain =
        previous ? units::next_link(previous->id, previous->hash_chain) : units::first_link(assignment.slot.process);
    if (assignment.hash_chain != chain)
        return broken(
            fmt::format("the hash chain is {}, the entries before give {}", assignment.hash_chain.text(), chain.text()));
    if (previous && (assignment.timestamp_ms <= previous->timestamp_ms || assignment.height < previous->height))
        return broken("its time or height goes back");
    if (!previous && !assignment.semantics)
        return broken("it records no semantics version");

    auto block = weave_.block(assignment.height);
    if (!block)
        return fail_while(fmt::format("slot {}", assignment.slot.nonce), block.error());
    if (block->hash != assignment.block_hash)
        return broken(fmt::format("it was assigned at block {} with hash {}, but that block's hash is {}", assignment.height,
            assignment.block_hash.text(), block->hash.text()));
    return {};
}

}  // namespace altiplano::scheduler
