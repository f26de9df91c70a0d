#include "node/http/compute_routes.hpp"

#include "base/base64url.hpp"
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

bool has_error(const units::SlotResult& result)
{
    return result.kind != units::SlotResult::Kind::result;
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
    return when_there(node, slot, [](const auto& found) { return found ? result_reply(*found) : compute_error(found.error()); });
}

/// Where a page of results begins or ends: a cursor of ours, or a time in milliseconds.
struct Place {
    std::int64_t timestamp_ms = 0;
    std::optional<std::uint64_t> nonce{};
    std::optional<std::string> sort{};
};
Result<std::optional<Place>> place_of(const Request& request, std::string_view name)
{
    const auto text = request.query_value(name);
    if (!text || text->empty())
        return std::optional<Place>{};
    if (const auto time = number_in(*text, name))
        return std::optional(Place{.timestamp_ms = static_cast<std::int64_t>(std::min(*time, std::uint64_t{INT64_MAX}))});
    const auto bytes = from_base64(*text);
    const auto cursor = bytes ? JsonView::parse(as_text(*bytes)) : Result<JsonView>(std::unexpected(bytes.error()));
    const auto timestamp = cursor ? cursor->find("timestamp") : std::nullopt;
    const auto ordinate = cursor ? cursor->find("ordinate") : std::nullopt;
    if (!timestamp || !timestamp->text() || !ordinate || !ordinate->text())
        return fail(errors::bad_request, fmt::format("'{}' is neither a time nor a cursor of this node", name),
            "pass the cursor of an edge as it was given");
    Place place;
    TRY(const auto time, number_in(*timestamp->text(), "cursor's timestamp"));
    place.timestamp_ms = static_cast<std::int64_t>(std::min(time, std::uint64_t{INT64_MAX}));
    TRY(place.nonce, number_in(*ordinate->text(), "cursor's ordinate"));
    if (const auto sort = cursor->find("sort"))
        place.sort = sort->string();
    return std::optional(std::move(place));
}

std::string cursor_of(const units::Assignment& assignment, std::string_view sort)
{
    JsonWriter json;
    json.begin_object()
        .member("timestamp", assignment.timestamp_ms)
        .member("ordinate", std::string_view(std::to_string(assignment.slot.nonce)))
        .member("sort", sort)
        .end_object();
    return base64(as_bytes(json.text()));
}

/// Results that are there, those with an Error left out; evaluates nothing (5.3).
Result<Reply> results(Node& node, const Request& request)
{
    TRY(const auto id, ProcessId::parse(request.parameter("process")));
    TRY(const auto process, node.scheduler().process(id));
    TRY(const auto from, place_of(request, "from"));
    TRY(const auto to, place_of(request, "to"));
    std::uint64_t limit = 25;
    if (const auto text = request.query_value("limit"); text && !text->empty()) {
        TRY(limit, number_in(*text, "limit"));
    }
    limit = std::clamp<std::uint64_t>(limit, 1, page_max);
    auto sort = std::string(request.query_value("sort").value_or("ASC"));
    if (from && from->sort)
        sort = *from->sort;
    if (sort != "ASC" && sort != "DESC")
        return fail(errors::bad_request, fmt::format("'sort' is {}; ASC or DESC was expected", sort));
    const bool up = sort == "ASC";

    // `from` exclusive, `to` inclusive; going down `from` is the upper end.
    const auto after = [&](const Place& place) -> Result<std::uint64_t> {
        if (place.nonce)
            return *place.nonce == UINT64_MAX ? UINT64_MAX : *place.nonce + 1;
        return node.scheduler().slot_after(id, place.timestamp_ms);
    };
    const auto at = [&](const Place& place) -> Result<std::uint64_t> {
        if (place.nonce)
            return *place.nonce;
        return node.scheduler().slot_after(id, place.timestamp_ms - 1);
    };
    std::uint64_t low = 0;
    std::uint64_t high = process.slots;
    if (from && up) {
        TRY(low, after(*from));
    } else if (from) {
        TRY(high, at(*from));
    }
    if (to && up) {
        TRY(high, after(*to));
    } else if (to) {
        TRY(low, at(*to));
    }
    high = std::min(high, process.slots);

    JsonWriter json(JsonWriter::Text::client);
    json.begin_object().key("edges").begin_array();
    std::uint64_t count = 0;
    bool more = false;
    for (auto step = low; step < high && !more; ++step) {
        const units::Slot slot{id, up ? step : high - 1 - (step - low)};
        TRY(const auto stored, node.compute().stored(slot));
        if (!stored || has_error(*stored))
            continue;
        if (count == limit) {
            more = true;
            break;
        }
        ++count;
        TRY(const auto entry, node.scheduler().entry(slot));
        json.begin_object().key("node");
        write_result(json, *stored, false);
        json.member("cursor", std::string_view(cursor_of(entry.assignment, sort))).end_object();
    }
    json.end_array().key("pageInfo").begin_object().member("hasNextPage", more).end_object().end_object();
    return json_reply(std::move(json));
}

Result<Reply> dry_run(Node& node, const Request& request)
{
    TRY(const auto process, process_in_query(request));
    return slowly(node, [&node, process, body = request.body] {
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
    router.on(
        "POST", "/dry-run", "what the newest state of ?process-id= answers to a message that changes nothing",
        [&node](const Request& request) { return dry_run(node, request); }, dry_run_bytes_max);
    router.reads("POST", "/dry-run");
    add_health_routes(router, node);
    add_compute_wire(router, node);
    return router;
}

}  // namespace altiplano::node::http
