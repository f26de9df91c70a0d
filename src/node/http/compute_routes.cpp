#include "node/http/compute_routes.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "compute/errors.hpp"
#include "node/errors.hpp"
#include "node/http/health_routes.hpp"
#include "node/http/later.hpp"
#include "node/http/reply.hpp"
#include "node/http/unit_wire.hpp"
#include "scheduler/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

constexpr std::uint64_t dry_run_bytes_max = 16 << 20;
constexpr std::uint64_t page_max = 1000;

/// The words that clients look for stand in front of ours (5.1).
Reply compute_error(const Error& error)
{
    auto said = error;
    if (error.code == scheduler::errors::unknown_message || error.code == scheduler::errors::unknown_process)
        said.sentence =
            "Error Encountered when loading message from Scheduler Unit: 400: Message or Process not found: " + said.sentence;
    return error_reply(said);
}

Result<ProcessId> process_in_query(const Request& request)
{
    const auto text = request.query_value("process-id");
    if (!text)
        return fail(errors::bad_request, "'process-id': Required. ", "add ?process-id=<id>");
    return ProcessId::parse(*text);
}

/// The original's shape of a result (5.2): the guest's own members, arrays always there. What a fault says is its Error.
void write_result(JsonWriter& json, const units::SlotResult& result, bool with_gas)
{
    const auto answer = JsonView::parse(result.output);
    const auto response = answer ? answer->find("response") : std::nullopt;
    const auto ok = answer ? answer->find("ok") : std::nullopt;
    const bool fault = result.kind == units::SlotResult::Kind::guest_fault || !response || !ok || ok->boolean() != true;
    json.begin_object();
    for (const auto* name : {"Messages", "Assignments", "Spawns"}) {
        const auto list = fault ? std::nullopt : response->find(name);
        json.key(name).raw(list && list->kind() == JsonView::Kind::array ? list->raw() : "[]");
    }
    const auto output = fault ? std::nullopt : response->find("Output");
    json.key("Output").raw(output ? output->raw() : "\"\"");
    // What the guest threw is its own value; a trap has a code and a sentence.
    if (fault && response && ok)
        json.key("Error").raw(response->raw());
    else if (fault)
        json.member("Error", std::string_view(result.output));
    else if (const auto error = response->find("Error"); error && !error->is_null())
        json.key("Error").raw(error->raw());
    if (with_gas)
        json.member("GasUsed", result.gas_used);
    json.end_object();
}

Reply result_reply(const units::SlotResult& result)
{
    JsonWriter json(JsonWriter::Text::client);
    write_result(json, result, true);
    auto reply = json_reply(std::move(json));
    reply.headers = {{"Altiplano-Slot", std::to_string(result.slot.nonce)}, {"Altiplano-Gas", std::to_string(result.gas)},
        {"Altiplano-State-Root", result.state_root.text()}};
    return reply;
}

Result<Reply> result(Node& node, const Request& request)
{
    TRY(const auto process, process_in_query(request));
    TRY(const auto message, ItemId::parse(request.parameter("message")));
    TRY(const auto slot, node.scheduler().slot_of(process, message));
    // A slot's result never changes. An alias may come to stand for another process, though.
    return when_there(node, slot, [lasting = slot.process == process](const auto& found) {
        auto reply = found ? result_reply(*found) : compute_error(found.error());
        reply.lasting = found && lasting;
        return reply;
    });
}

/// Where a page of results begins or ends: a cursor of ours, or a time in milliseconds.
struct Place {
    std::int64_t time_ms = 0;
    std::optional<units::Slot> slot{};
    std::optional<std::string> sort{};
};
std::int64_t time_in(std::uint64_t number)
{
    return static_cast<std::int64_t>(std::min(number, std::uint64_t{INT64_MAX}));
}
Result<std::optional<Place>> place_of(const Request& request, std::string_view name)
{
    const auto text = request.query_value(name);
    if (!text || text->empty())
        return std::optional<Place>{};
    if (const auto time = number_in(*text, name))
        return std::optional(Place{.time_ms = time_in(*time)});
    const auto bytes = from_base64(*text);
    const auto cursor = bytes ? JsonView::parse(as_text(*bytes)) : Result<JsonView>(std::unexpected(bytes.error()));
    const auto member = [&](std::string_view of) { return cursor && cursor->find(of) ? cursor->find(of)->text() : std::nullopt; };
    if (!member("timestamp") || !member("ordinate"))
        return fail(errors::bad_request, fmt::format("'{}' is neither a time nor a cursor of this node", name),
            "pass the cursor of an edge as it was given");
    Place place{.sort = member("sort")};
    TRY(const auto time, number_in(*member("timestamp"), "cursor's timestamp"));
    place.time_ms = time_in(time);
    place.slot = units::Slot{};
    TRY(place.slot->nonce, number_in(*member("ordinate"), "cursor's ordinate"));
    if (const auto evaluation = member("evaluation")) {
        TRY(place.slot->cron, number_in(*evaluation, "cursor's evaluation"));
    }
    return std::optional(std::move(place));
}

/// The original's members, and of a cron evaluation which one it is after its message.
std::string cursor_of(const units::SlotResult& result, std::string_view sort)
{
    JsonWriter json;
    json.begin_object()
        .member("timestamp", result.time_ms)
        .member("ordinate", std::string_view(std::to_string(result.slot.nonce)));
    if (result.slot.cron > 0)
        json.member("cron", std::string_view(result.cron_name)).member("evaluation", result.slot.cron);
    json.member("sort", sort).end_object();
    return base64(as_bytes(json.text()));
}

/// Results that are there, those with an Error left out, so that a page is as long as was asked for (5.3). `from` is the lower
/// end, exclusive, and `to` the upper, inclusive, whatever the order: so it is in the original, and aos, which asks for its
/// newest five going down and then for what is `from` the first of them, would never see anything new otherwise.
Result<Reply> page(Node& node, const Request& request, units::ResultQuery query, std::uint64_t limit)
{
    TRY(const auto from, place_of(request, "from"));
    TRY(const auto to, place_of(request, "to"));
    if (const auto text = request.query_value("limit"); text && !text->empty()) {
        TRY(limit, number_in(*text, "limit"));
    }
    limit = std::clamp<std::uint64_t>(limit, 1, page_max);
    auto sort = std::string(request.query_value("sort").value_or("ASC"));
    if (from && from->sort)
        sort = *from->sort;
    if (sort != "ASC" && sort != "DESC")
        return fail(errors::bad_request, fmt::format("'sort' is {}; ASC or DESC was expected", sort));
    query.plain_only = true;
    query.descending = sort == "DESC";
    query.limit = limit + 1;  // one more says whether there is a next page

    if (from && from->slot)
        query.first = {{}, from->slot->nonce, from->slot->cron + 1};
    else if (from)
        query.after_ms = from->time_ms;
    if (to && to->slot)
        query.last = *to->slot;
    else if (to)
        query.until_ms = to->time_ms;
    if (query.after_ms > INT64_MIN) {
        // Times grow with slots: nothing before the slot at that time has to be looked at.
        TRY(const auto after, node.scheduler().slot_after(query.process, query.after_ms));
        query.first = std::max(query.first, units::Slot{{}, after > 0 ? after - 1 : 0, 0});
    }
    TRY(auto found, node.compute().results(query));
    const bool more = found.size() > limit;
    if (more)
        found.pop_back();

    JsonWriter json(JsonWriter::Text::client);
    json.begin_object().key("edges").begin_array();
    for (const auto& result : found) {
        json.begin_object().key("node");
        write_result(json, result, false);
        json.member("cursor", std::string_view(cursor_of(result, sort))).end_object();
    }
    json.end_array().key("pageInfo").begin_object().member("hasNextPage", more).end_object().end_object();
    return json_reply(std::move(json));
}

/// Evaluates nothing (5.3).
Result<Reply> results(Node& node, const Request& request)
{
    TRY(const auto id, ProcessId::parse(request.parameter("process")));
    TRY(const auto process, node.scheduler().process(id));
    return page(node, request, {.process = id}, 25);
}

/// Evaluates up to `to`, or to now, first. With `to` also a process that is parked, some thousand evaluations with each call;
/// the header Altiplano-Cron-Due says how many are left.
Result<Reply> cron(Node& node, const Request& request)
{
    constexpr std::uint64_t evaluations_at_once = 5000;
    TRY(const auto id, ProcessId::parse(request.parameter("process")));
    TRY(const auto to, place_of(request, "to"));
    TRY(const auto reach,
        node.compute().cron({.process = id,
            .until_ms = to ? to->time_ms : INT64_MAX,
            .evaluations_max = evaluations_at_once,
            .parked_too = to.has_value()}));
    TRY(auto reply, page(node, request, {.process = id, .cron_only = true}, 500));
    reply.headers = {{"Altiplano-Cron-Due", std::to_string(reach.left)}};
    return reply;
}

/// The linear memory after the message that `to` names, or at a time; after the newest one without it (5.1).
Result<Reply> state(Node& node, const Request& request)
{
    TRY(const auto id, ProcessId::parse(request.parameter("process")));
    TRY(const auto process, node.scheduler().process(id));
    units::Slot slot{process.id, process.slots - 1};
    if (const auto to = request.query_value("to"); to && !to->empty()) {
        if (const auto message = ItemId::parse(*to)) {
            TRY(slot, node.scheduler().slot_of(process.id, *message));
        } else {
            TRY(const auto time, number_in(*to, "'to'"));
            TRY(const auto after, node.scheduler().slot_after(process.id, time_in(time)));
            slot.nonce = after > 0 ? after - 1 : 0;
        }
    }
    auto* const local = node.local_compute();
    if (local == nullptr)
        return fail(errors::no_unit, "the compute unit does not run on this node", "ask the node that computes");
    return slowly(node, [&node, local, slot] {
        auto reply = [&]() -> Result<Reply> {
            TRY(const auto entry, node.scheduler().entry(slot));
            Reply made{.content_type = "application/octet-stream"};
            TRY(made.data, local->memory(slot));
            made.data_length = made.data->size();
            made.headers = {{"Last-Timestamp", std::to_string(entry.assignment.timestamp_ms)},
                {"Last-Ordinate", std::to_string(slot.nonce)}, {"Last-Block-Height", std::to_string(entry.assignment.height)}};
            return made;
        }();
        return reply ? *std::move(reply) : compute_error(reply.error());
    });
}

/// A client that knows a process by a published id writes that into the message as well; the process knows its own alone.
void name_the_process(std::string& body, const ProcessId& asked, const ProcessId& real)
{
    const auto view = JsonView::parse(body);
    const auto target = view ? view->find("Target") : std::nullopt;
    if (!target || target->string() != asked.text())
        return;
    const auto at = static_cast<std::size_t>(target->raw().data() - body.data());
    body.replace(at, target->raw().size(), '"' + real.text() + '"');
}

Result<Reply> dry_run(Node& node, const Request& request)
{
    TRY(const auto asked, process_in_query(request));
    return slowly(node, [&node, asked, body = request.body]() mutable {
        const auto info = node.scheduler().process(asked);
        const auto process = info ? info->id : asked;
        if (process != asked)
            name_the_process(body, asked, process);
        const auto answer = node.compute().dry_run({.process = process, .body = body});
        return answer ? result_reply(*answer) : compute_error(answer.error());
    });
}

}  // namespace

Router compute_routes(Node& node)
{
    Router router;
    router.errors_by(compute_error);
    router.get("/", "the unit's address and its time", [&node](const Request&) -> Result<Reply> {
        JsonWriter json;
        json.begin_object()
            .member("address", std::string_view(node.authority().text()))
            .member("timestamp", node.clock().wall_ms())
            .end_object();
        return json_reply(std::move(json));
    });
    router.get("/result/{message}", "the result of a message of ?process-id=, evaluated if it is not yet",
        [&node](const Request& request) { return result(node, request); });
    router.get("/results/{process}",
        "results that are there: ?from=&to=&limit=&sort=", [&node](const Request& request) { return results(node, request); });
    router.get("/cron/{process}", "results of cron, evaluated up to ?to= or now: ?from=&to=&limit=",
        [&node](const Request& request) { return cron(node, request); });
    router.get("/state/{process}", "the memory of a process, byte for byte, after the message or time in ?to=, or now",
        [&node](const Request& request) { return state(node, request); });
    router.on(
        "POST", "/dry-run", "what the newest state of ?process-id= answers to a message that changes nothing",
        [&node](const Request& request) { return dry_run(node, request); }, dry_run_bytes_max);
    router.reads("POST", "/dry-run");
    add_health_routes(router, node);
    add_compute_wire(router, node);
    return router;
}

}  // namespace altiplano::node::http
