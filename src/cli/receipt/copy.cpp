// Copies what a slot needs out of a weave, and into an empty one.
#include "base/base64url.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"
#include "cli/errors.hpp"
#include "cli/receipt/receipt.hpp"
#include "node/data_folder.hpp"
#include "store/sqlite/sqlite.hpp"
#include "units/assignment.hpp"
#include "weave/follow.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

std::unexpected<Error> changed(std::string what)
{
    return fail(errors::receipt_differs, std::move(what), "somebody or something changed the file: ask for the receipt again");
}

/// Statements by which a process may open an item: they are needed as much as the item.
Result<std::vector<ItemId>> statements_about(store::Records& records, const item::Tags& process, const ItemId& item)
{
    store::Find::Group owners, about{store::Term::tag("Message", item.text()), store::Term::tag("ID", item.text())};
    for (const auto* const name : {"Scheduler", "Attestor"})
        for (const auto value : process.all(name))
            owners.push_back(store::Term::owner(value));
    if (owners.empty())
        return std::vector<ItemId>{};
    store::Work work{.left = 1'000'000};
    TRY(const auto found,
        records.find(
            {.each_of = {owners, about, {store::Term::tag("Type", "Attestation"), store::Term::tag("Type", "Available")}},
                .limit = 1000},
            work));
    return found.ids;
}

Result<weave::NewItem> verified(Bytes wire, store::Blobs& blobs)
{
    weave::Upload upload(blobs);
    TRY_OK(upload.append(wire));
    return upload.finish();
}

Result<weave::NewItem> fetched(const ItemId& id, net::Http& http, const std::string& gateway, store::Blobs& blobs)
{
    weave::Upload upload(blobs);
    TRY(const auto got,
        http.download(
            {.url = net::join(gateway, "/~altiplano/item/" + id.text()), .answer_bytes_max = UINT64_MAX, .total_ms_max = 0},
            [&](Bytes piece) { return upload.append(piece); }));
    if (got.status != 200)
        return fail(errors::bad_answer,
            fmt::format("{} does not give the item {}: it answered {}", gateway, id.text(), got.status),
            "name another gateway with --gateway");
    TRY(auto item, upload.finish());
    if (item.header.id() != id)
        return fail(errors::bad_answer, fmt::format("{} gave the item {} for {}", gateway, item.header.id().text(), id.text()));
    return item;
}

/// The blocks of a bundle, each with those of its items that are needed.
Result<void> adopt_bundle(
    store::Records& records, store::Blobs& blobs, const Receipt::Bundle& bundle, net::Http& http, const std::string& gateway)
{
    std::set<ItemId> missing;
    for (const auto& [id, wire] : bundle.items)
        missing.insert(id);
    missing.insert(bundle.elsewhere.begin(), bundle.elsewhere.end());
    for (const auto& block : bundle.blocks) {
        std::vector<weave::NewItem> items;
        for (const auto& id : block.items) {
            const auto carried = bundle.items.find(id);
            if (carried != bundle.items.end()) {
                const auto wire = from_base64url(carried->second);
                auto item = wire ? verified(*wire, blobs) : Result<weave::NewItem>(std::unexpected(wire.error()));
                if (!item)
                    return changed(
                        fmt::format("the item {} in the bundle is not what was signed: {}", id.text(), item.error().sentence));
                if (item->header.id() != id)
                    return changed(fmt::format("the bundle has the item {} in place of {}", item->header.id().text(), id.text()));
                items.push_back(*std::move(item));
            } else if (bundle.elsewhere.contains(id)) {
                TRY(auto item, fetched(id, http, gateway, blobs));
                items.push_back(std::move(item));
            } else {
                continue;
            }
            missing.erase(id);
        }
        if (const auto adopted = weave::adopt(records, block, items); !adopted)
            return changed(adopted.error().sentence);
    }
    if (!missing.empty())
        return changed(fmt::format("no block of the bundle has its item {}", missing.begin()->text()));
    return {};
}

/// The log of the process, from the assignments that its scheduler signed.
Result<void> write_log(weave::Weave& weave, store::Records& records, const Facts& facts)
{
    const auto process = ProcessId::parse(fact(facts, "process"));
    const auto slot = fact(facts, "slot");
    if (!process || slot.empty() || slot.size() > 18 || slot.find_first_not_of("0123456789") != slot.npos)
        return changed("the receipt does not say which slot of which process it is about");
    store::Find find{.each_of = {{store::Term::tag("Type", "Assignment")}, {store::Term::tag("Process", process->text())},
                         {store::Term::owner(fact(facts, "scheduler"))}},
        .limit = 1000};
    const auto end = std::stoull(slot) + 1;
    std::uint64_t next = 0;
    const auto spawn = weave.item(ItemId(*process));
    if (!spawn)
        return changed(
            fmt::format("the receipt is about the process {}, which is not in the weave {}", process->text(), weave.id().text()));
    return records.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY_OK(writer.put_process({.id = *process,
            .module = ModuleId::parse(spawn->header.tags().first("Module").value_or("")).value_or(ModuleId{}),
            .owner = std::string(spawn->header.owner().text()),
            .scheduler = fact(facts, "scheduler")}));
        for (bool more = true; more && next < end;) {
            store::Work work{.left = 10'000'000};
            TRY(const auto found, writer.find(find, work));
            for (const auto& id : found.ids) {
                TRY(auto item, weave.whole(id));
                TRY(const auto assignment, units::read_assignment(std::move(item)));
                if (assignment.slot.nonce == next && next < end) {
                    TRY_OK(writer.append_log(
                        {.process = *process, .nonce = next, .message = assignment.message, .assignment = assignment.id}));
                    ++next;
                }
            }
            more = found.more;
            if (!found.ids.empty())
                find.after = found.ids.back();
        }
        if (next < end)
            return changed(fmt::format("the receipt is about slot {}; {} has signed {} assignments for that process", slot,
                fact(facts, "scheduler"), next));
        return {};
    });
}

}  // namespace

Result<Receipt::Bundle> make_bundle(weave::Weave& weave, store::Records& records, scheduler::LogReader& log,
    const units::Slot& slot, const std::set<ItemId>& opened)
{
    Receipt::Bundle bundle;
    TRY(const auto spawn, log.entry({slot.process, 0}));
    // What the process was given by name as well: it may be opened by ways of which nobody is told.
    std::set<ItemId> given = opened;
    for (const auto& tag : spawn.message.tags())
        if (const auto id = ItemId::parse(tag.value); id && weave.has(*id))
            given.insert(*id);
    std::set<ItemId> needed = given;
    for (const auto& item : given) {
        TRY(const auto statements, statements_about(records, spawn.message.tags(), item));
        needed.insert(statements.begin(), statements.end());
    }
    const auto semantics = spawn.assignment.semantics.value_or(units::Assignment::Semantics{});
    const auto module = semantics.module ? Result<ModuleId>(*semantics.module)
                                         : ModuleId::parse(spawn.message.tags().first("Module").value_or(""));
    if (module)
        needed.insert(ItemId(*module));
    // Blocks up to the one with the slot's own assignment, which lies behind the height that the assignment names.
    std::uint64_t last_height = 0;
    for (std::uint64_t nonce = 0; nonce <= slot.nonce; ++nonce) {
        TRY(const auto entry, log.entry({slot.process, nonce}));
        needed.insert(entry.message.id());
        needed.insert(ItemId(entry.assignment.id));
    }
    for (const auto& id : needed) {
        TRY(const auto stored, weave.item(id));
        last_height = std::max(last_height, stored.height);
        if (stored.data_size > bundled_bytes_max) {
            bundle.elsewhere.insert(id);
            continue;
        }
        auto wire = to_buffer(stored.header.wire());
        TRY(const auto data, weave.data(id));
        TRY(const auto bytes, data->all());
        append(wire, bytes);
        bundle.items[id] = base64url(wire);
    }
    for (std::uint64_t height = 0; height <= last_height; ++height) {
        TRY(auto block, weave.block(height));
        bundle.blocks.push_back(std::move(block));
    }
    return bundle;
}

Result<void> fill_folder(const Path& path, const Receipt& receipt, net::Http& http, const std::string& gateway)
{
    const node::DataFolder folder{path};
    TRY(const auto lock, folder.claim(system_files()));
    TRY(const auto records, store::open_records(folder.records()));
    TRY(const auto blobs, store::Blobs::open(system_files(), folder.blobs()));
    if (receipt.bundle) {
        if (receipt.bundle->blocks.empty())
            return changed("the bundle has no blocks");
        TRY_OK(adopt_bundle(*records, *blobs, *receipt.bundle, http, gateway));
    } else {
        if (gateway.empty())
            return fail(errors::bad_argument, "the receipt has no bundle and names no gateway", "name one with --gateway");
        TRY_OK(weave::Follower(http, gateway, *records, *blobs).catch_up());
    }
    TRY(const auto weave, weave::Weave::open(*records, *blobs, system_clock(), system_random()));
    return write_log(*weave, *records, receipt.facts);
}

}  // namespace altiplano::cli
