#include "node/http/own_routes.hpp"

#include "node/errors.hpp"
#include "node/http/delivery_routes.hpp"
#include "node/http/later.hpp"
#include "node/http/reply.hpp"

namespace altiplano::node::http {

namespace {

void write_slot_result(JsonWriter& json, const units::SlotResult& result)
{
    json.member("process", std::string_view(result.slot.process.text())).member("slot", result.slot.nonce);
    if (result.slot.cron > 0)
        json.member("cron", result.slot.cron).member("cron_name", std::string_view(result.cron_name));
    json.member("time", result.time_ms).member("outcome", units::name_of(result.kind));
    json.member("state_root", std::string_view(result.state_root.text())).member("gas", result.gas);
    // A guest's answer is JSON as it stands, unless it is none, or has bytes that no JSON reader takes.
    if (result.kind != units::SlotResult::Kind::guest_fault && JsonView::parse(result.output)) {
        json.key("result").raw(result.output);
    } else {
        json.member("text", std::string_view(result.output));
    }
}

Result<Reply> status(Node& node)
{
    TRY(const auto tip, node.weave().tip());
    TRY(const auto processes, node.scheduler().processes());
    TRY(const auto open, node.records().open_deliveries());
    JsonWriter json;
    json.begin_object()
        .member("version", "0.1.0")
        .member("weave", std::string_view(node.weave().id().text()))
        .member("height", tip.height);
    json.member("scheduler", std::string_view(node.scheduler().address().text()))
        .member("authority", std::string_view(node.authority().text()));
    json.member("data", std::string_view(std::filesystem::absolute(node.options().data).string()));
    json.member("processes", static_cast<std::uint64_t>(processes.size()))
        .member("open_deliveries", static_cast<std::uint64_t>(open.size()));
    json.member("memory_offer_bytes", node.options().memory_offer_bytes);
    json.member("evaluations_at_once", static_cast<std::uint64_t>(node.options().workers)).key("workers").begin_array();
    if (auto* const local = node.local_compute())
        for (const auto worker : local->worker_processes())
            json.number(worker);
    json.end_array();
    if (auto* const local = node.local_compute(); local != nullptr && local->card() != nullptr) {
        const auto name = local->card()->name();
        json.member("card",
            !name               ? std::string_view(name.error().sentence)
                : name->empty() ? "being tested"
                                : std::string_view(*name));
    }
    json.end_object();
    return json_reply(std::move(json));
}

constexpr std::size_t items_max = 10'000;

/// The first items by tags, oldest first: ?Type=Module&Name=llama&owner=ADDRESS. For more than a few, ask /graphql.
Result<Reply> items(Node& node, const Request& request)
{
    std::vector<std::pair<std::string, std::string>> tags;
    std::vector<std::string> owners;
    for (const auto& [name, value] : request.query) {
        if (name == "owner")
            owners.push_back(value);
        else
            tags.emplace_back(name, value);
    }
    if (tags.empty())
        return fail(errors::bad_request, "name at least one tag: /~altiplano/items?Type=Module");
    store::Find find{.limit = items_max};
    for (const auto& [name, value] : tags)
        find.each_of.push_back({store::Term::tag(name, value)});
    if (!owners.empty()) {
        auto& any_owner = find.each_of.emplace_back();
        for (const auto& owner : owners)
            any_owner.push_back(store::Term::owner(owner));
    }
    store::Work work{.left = 1'000'000};
    TRY(const auto found, node.records().find(find, work));
    JsonWriter json;
    json.begin_object().key("ids").begin_array();
    for (const auto& id : found.ids)
        json.string(id.text());
    json.end_array().member("more", found.more).end_object();
    return json_reply(std::move(json));
}

Result<Reply> process(Node& node, const ProcessId& id)
{
    TRY(const auto info, node.scheduler().process(id));
    TRY(const auto computed, node.cache().results_end(id));
    JsonWriter json;
    json.begin_object()
        .member("process", std::string_view(id.text()))
        .member("module", std::string_view(info.module.text()))
        .member("owner", std::string_view(info.owner.text()));
    json.member("scheduler", std::string_view(info.scheduler.text())).member("slots", info.slots).member("computed", computed);
    compute::LocalCompute::CronState cron;
    if (auto* const local = node.local_compute()) {
        TRY(cron, local->cron_state(id));
    }
    // Nothing that the process says since is worth more than this.
    TRY(const auto taken, node.cache().trusted(id));
    if (taken && !taken->verified)
        json.key("trusted")
            .begin_object()
            .member("slot", taken->nonce)
            .member("checkpoint", std::string_view(taken->item.text()))
            .member("signer", std::string_view(taken->signer))
            .end_object();
    if (cron.crons > 0)
        json.key("cron")
            .begin_object()
            .member("crons", cron.crons)
            .member("state", cron.parked ? "parked" : "running")
            .member("due", cron.due)
            .end_object();
    json.end_object();
    return json_reply(std::move(json));
}

Result<Reply> result(Node& node, const units::Slot& slot)
{
    return when_there(node, slot, [](const auto& found) {
        if (!found)
            return error_reply(found.error());
        JsonWriter json(JsonWriter::Text::client);
        json.begin_object();
        write_slot_result(json, *found);
        json.end_object();
        return json_reply(std::move(json));
    });
}

Result<Reply> log_entry(Node& node, const units::Slot& slot)
{
    TRY(const auto entry, node.scheduler().entry({slot.process, slot.nonce}));
    const auto& assignment = entry.assignment;
    JsonWriter json;
    json.begin_object()
        .member("process", std::string_view(slot.process.text()))
        .member("slot", slot.nonce)
        .member("message", std::string_view(assignment.message.text()));
    json.member("assignment", std::string_view(assignment.id.text()))
        .member("hash_chain", std::string_view(assignment.hash_chain.text()));
    json.member("height", assignment.height)
        .member("block_hash", std::string_view(assignment.block_hash.text()))
        .member("timestamp", assignment.timestamp_ms);
    json.member("owner", std::string_view(entry.message.owner().text())).key("tags").begin_array();
    for (const auto& tag : entry.message.tags())
        json.begin_object().member("name", std::string_view(tag.name)).member("value", std::string_view(tag.value)).end_object();
    json.end_array().end_object();
    return json_reply(std::move(json));
}

Result<Reply> outbox_now(Node& node, const units::Slot& slot)
{
    TRY(const auto entries, node.cache().outbox(slot.process, slot.nonce, slot.cron));
    JsonWriter json;
    json.begin_object().key("outbox").begin_array();
    for (const auto& entry : entries) {
        TRY(const auto delivery, node.records().delivery(slot.process, slot.nonce, entry.index, slot.cron));
        json.begin_object()
            .member("index", entry.index)
            .member("kind",
                entry.kind == store::OutboxRecord::Kind::message     ? "message"
                    : entry.kind == store::OutboxRecord::Kind::spawn ? "spawn"
                                                                     : "assignment");
        using State = store::DeliveryRecord::State;
        json.member("state",
            !delivery                                ? "waiting"
                : delivery->state == State::signed_  ? "signed"
                : delivery->state == State::accepted ? "accepted"
                                                     : "dead");
        if (delivery && !delivery->item.empty()) {
            TRY(const auto item, item::Header::parse(delivery->item, UINT64_MAX));
            json.member("id", std::string_view(item.id().text()));
            if (item.target())
                json.member("target", std::string_view(item.target()->text()));
        }
        if (delivery && !delivery->last_error.empty())
            json.member("error", std::string_view(delivery->last_error));
        json.end_object();
    }
    json.end_array().end_object();
    return json_reply(std::move(json));
}

Result<Reply> outbox(Node& node, const units::Slot& slot)
{
    return when_there(node, slot, [&node, slot](const auto& computed) {
        auto reply = computed ? outbox_now(node, slot) : Result<Reply>(std::unexpected(computed.error()));
        return reply ? *std::move(reply) : error_reply(reply.error());
    });
}

/// Evaluates what cron asks for, parked or not, some thousand evaluations with each call: ?until=MS, else up to now.
Result<Reply> cron(Node& node, const Request& request)
{
    constexpr std::uint64_t evaluations_at_once = 5000;
    units::CronRequest asked{.evaluations_max = evaluations_at_once, .parked_too = true};
    TRY(asked.process, ProcessId::parse(request.parameter("process")));
    if (const auto text = request.query_value("until")) {
        TRY(const auto until, number_in(*text, "until"));
        asked.until_ms = static_cast<std::int64_t>(std::min(until, std::uint64_t{INT64_MAX}));
    }
    TRY(const auto reach, node.compute().cron(asked));
    JsonWriter json;
    json.begin_object()
        .member("process", std::string_view(asked.process.text()))
        .member("evaluated", reach.evaluated)
        .member("due", reach.left)
        .member("until", reach.until_ms)
        .end_object();
    return json_reply(std::move(json));
}

Result<Reply> console(Node& node, const ProcessId& id)
{
    TRY(const auto info, node.scheduler().process(id));
    Reply reply;
    reply.events = [&node, id](Reply::Push push) {
        return node.compute().watch(id, [push = std::move(push)](const units::ConsolePiece& piece) {
            // Pieces may be cut inside a character: the bytes travel as guests write them.
            JsonWriter json(JsonWriter::Text::guest);
            json.begin_object()
                .member("slot", piece.slot.nonce)
                .member("stream", std::int64_t{piece.stream})
                .member("text", std::string_view(piece.text))
                .end_object();
            push(std::move(json).text());
        });
    };
    return reply;
}

Result<ProcessId> process_in(const Request& request)
{
    return ProcessId::parse(request.parameter("process"));
}

Result<units::Slot> slot_in(const Request& request)
{
    TRY(const auto process, process_in(request));
    return slot_named(process, request.parameter("slot"));
}

Result<Reply> slot_of(Node& node, const Request& request)
{
    TRY(const auto process, process_in(request));
    TRY(const auto message, ItemId::parse(request.parameter("message")));
    TRY(const auto slot, node.scheduler().slot_of(process, message));
    JsonWriter json;
    json.begin_object().member("process", std::string_view(process.text())).member("slot", slot.nonce).end_object();
    return json_reply(std::move(json));
}

Result<Reply> aliases(Node& node)
{
    JsonWriter json;
    TRY(const auto all, node.aliases().all());
    json.begin_object().key("aliases").begin_array();
    for (const auto& one : all) {
        json.begin_object()
            .member("published", std::string_view(one.published.text()))
            .member("for", std::string_view(one.what))
            .member("from", one.configured ? "configuration" : "added");
        if (const auto found = node.aliases().resolve(one.published))
            json.member("local", std::string_view(found->text()));
        else
            json.key("local").null();
        json.end_object();
    }
    json.end_array().end_object();
    return json_reply(std::move(json));
}

/// A page of somebody else's that is open in a browser may send requests here, but has no business in this table.
Result<void> not_from_a_page(const Request& request)
{
    if (request.header("origin").empty())
        return {};
    return fail(errors::bad_host, "aliases are changed by programs, not by pages", "use `altiplano alias`");
}

Result<Reply> add_alias(Node& node, const Request& request)
{
    TRY_OK(not_from_a_page(request));
    const auto body = JsonView::parse(request.body);
    const auto member = [&](std::string_view name) -> std::string {
        const auto found = body ? body->find(name) : std::nullopt;
        return found ? found->text().value_or("") : "";
    };
    TRY_OK(node.aliases().add(member("published"), member("for")));
    return aliases(node);
}

Result<Reply> remove_alias(Node& node, const Request& request)
{
    TRY_OK(not_from_a_page(request));
    TRY_OK(node.aliases().remove(request.parameter("published")));
    return aliases(node);
}

}  // namespace

void add_own_routes(Router& router, Node& node)
{
    router.get(
        "/~altiplano/aliases", "published ids, and what stands for them here", [&node](const Request&) { return aliases(node); });
    router.on(
        "POST", "/~altiplano/aliases", "adds one: {\"published\": id, \"for\": id or Tag=Value}; for development",
        [&node](const Request& request) { return add_alias(node, request); }, 4096);
    router.on("DELETE", "/~altiplano/aliases/{published}", "removes one that was added",
        [&node](const Request& request) { return remove_alias(node, request); });
    router.get("/~altiplano/status", "how the node is", [&node](const Request&) { return status(node); });
    router.get("/~altiplano/items", "the ids of items with all these tags, oldest first: ?Type=Module&owner=ADDRESS",
        [&node](const Request& request) { return items(node, request); });
    const auto of_process = [&](std::string pattern, std::string summary, Result<Reply> (*answer)(Node&, const ProcessId&)) {
        router.get(std::move(pattern), std::move(summary), [&node, answer](const Request& request) -> Result<Reply> {
            TRY(const auto process, process_in(request));
            return answer(node, process);
        });
    };
    of_process("/~altiplano/process/{process}", "a process: module, owner, slots", process);
    of_process("/~altiplano/console/{process}", "what the process prints, as server-sent events", console);
    router.on("POST", "/~altiplano/cron/{process}", "evaluates what cron asks for up to ?until= or now, parked or not",
        [&node](const Request& request) { return cron(node, request); });
    router.get("/~altiplano/slot/{process}/{message}", "the slot of a message",
        [&node](const Request& request) { return slot_of(node, request); });
    const auto of_slot = [&](std::string pattern, std::string summary, Result<Reply> (*answer)(Node&, const units::Slot&)) {
        router.get(std::move(pattern), std::move(summary), [&node, answer](const Request& request) -> Result<Reply> {
            TRY(const auto slot, slot_in(request));
            return answer(node, slot);
        });
    };
    of_slot("/~altiplano/result/{process}/{slot}", "the result of a slot, evaluated if it is not yet", result);
    of_slot("/~altiplano/log/{process}/{slot}", "what the log says of a slot", log_entry);
    of_slot("/~altiplano/outbox/{process}/{slot}", "what a slot sent, and what became of it", outbox);
}

}  // namespace altiplano::node::http
