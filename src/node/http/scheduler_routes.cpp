#include "node/http/scheduler_routes.hpp"

#include "base/base64url.hpp"
#include "base/utf8.hpp"
#include "item/errors.hpp"
#include "node/errors.hpp"
#include "node/http/health_routes.hpp"
#include "node/http/later.hpp"
#include "node/http/message_body.hpp"
#include "node/http/reply.hpp"
#include "node/http/unit_wire.hpp"
#include "scheduler/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

constexpr std::uint64_t page_max = 1000;
constexpr std::size_t page_bytes_max = 32 << 20;

/// 400 for all that is refused, with the words that clients look for in front of ours (3.1).
Reply scheduler_error(const Error& error)
{
    auto said = error;
    if (error.code == scheduler::errors::unknown_message || error.code == scheduler::errors::unknown_process)
        said.sentence = "Message or Process not found: " + said.sentence;
    auto reply = error_reply(said);
    if (reply.status == 404 || reply.status == 422)
        reply.status = 400;
    return reply;
}

void write_text_or_null(JsonWriter& json, std::string_view name, Bytes bytes, bool lossy)
{
    if (lossy || is_utf8(as_text(bytes)))
        json.member(name, as_text(bytes));
    else
        json.key(name).null();
}

void write_owner(JsonWriter& json, const item::Header& header)
{
    // The hash of the key, also for Ethereum's keys: whoever wants the address takes it from the key (1.5).
    json.key("owner")
        .begin_object()
        .member("address", std::string_view(sha256(header.owner_key()).text()))
        .member("key", std::string_view(base64url(header.owner_key())))
        .end_object();
}

void write_tags(JsonWriter& json, const item::Tags& tags)
{
    json.key("tags").begin_array();
    for (const auto& tag : tags)
        json.begin_object().member("name", std::string_view(tag.name)).member("value", std::string_view(tag.value)).end_object();
    json.end_array();
}

void write_anchor(JsonWriter& json, const item::Header& header, bool raw)
{
    if (header.anchor().empty())
        json.key("anchor").null();
    else if (raw)
        json.member("anchor", std::string_view(base64url(header.anchor())));
    else
        write_text_or_null(json, "anchor", header.anchor(), false);
}

void write_target(JsonWriter& json, const item::Header& header)
{
    if (header.target())
        json.member("target", std::string_view(header.target()->text()));
    else
        json.key("target").null();
}

/// The shape of 3.5; `message` is null for an item that was assigned.
void write_node(JsonWriter& json, const units::LogEntry& entry, bool show_anchor)
{
    json.begin_object().key("message");
    if (units::was_assigned(entry)) {
        json.null();
    } else {
        const auto& header = entry.message.header();
        json.begin_object().member("id", std::string_view(header.id().text()));
        write_owner(json, header);
        // Lossy for messages, null for a process whose data is no text: as the original has it (3.5).
        write_text_or_null(json, "data", entry.message.data(), entry.assignment.slot.nonce > 0);
        write_tags(json, header.tags());
        json.member("signature", std::string_view(base64url(header.signature())));
        write_anchor(json, header, show_anchor);
        write_target(json, header);
        json.end_object();
    }
    const auto& assignment = entry.assignment.item.header();
    json.key("assignment").begin_object().member("id", std::string_view(assignment.id().text()));
    write_owner(json, assignment);
    write_tags(json, assignment.tags());
    json.member("signature", std::string_view(base64url(assignment.signature())));
    write_anchor(json, assignment, show_anchor);
    json.member("target", "").end_object().end_object();
}

Result<ProcessId> process_in_query(const Request& request)
{
    const auto text = request.query_value("process-id");
    if (!text)
        return fail(errors::bad_request, "Query deserialize error: missing field `process-id`", "add ?process-id=<id>");
    return ProcessId::parse(*text);
}

/// Slots [first, end) of a page, by the query's times or nonces: `from` exclusive, `to` inclusive.
struct Range {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    bool by_nonce = false;
};
Result<Range> range_of(Node& node, const Request& request, const units::ProcessInfo& process)
{
    Range range{.end = process.slots};
    const auto number = [&](std::string_view name) -> Result<std::optional<std::int64_t>> {
        const auto text = request.query_value(name);
        if (!text || text->empty())
            return std::optional<std::int64_t>{};
        if (*text == "-1")
            return std::optional<std::int64_t>{-1};
        TRY(const auto value, number_in(*text, name));
        return std::optional(static_cast<std::int64_t>(std::min(value, std::uint64_t{INT64_MAX} - 1)));
    };
    TRY(const auto from_nonce, number("from-nonce"));
    TRY(const auto to_nonce, number("to-nonce"));
    range.by_nonce = from_nonce || to_nonce;
    if (range.by_nonce) {
        range.first = static_cast<std::uint64_t>(from_nonce.value_or(-1) + 1);
        if (to_nonce)
            range.end = std::min(range.end, static_cast<std::uint64_t>(*to_nonce + 1));
        return range;
    }
    TRY(const auto from, number("from"));
    TRY(const auto to, number("to"));
    if (from) {
        TRY(range.first, node.scheduler().slot_after(process.id, *from));
    }
    if (to) {
        TRY(range.end, node.scheduler().slot_after(process.id, *to));
    }
    return range;
}

Result<Reply> page(Node& node, const Request& request, const ProcessId& id)
{
    TRY(const auto process, node.scheduler().process(id));
    TRY(const auto range, range_of(node, request, process));
    std::uint64_t limit = 100;
    if (const auto text = request.query_value("limit")) {
        TRY(limit, number_in(*text, "limit"));
    }
    limit = std::clamp<std::uint64_t>(limit, 1, page_max);
    const bool show_anchor = request.query_value("show-anchor").has_value();

    JsonWriter json;
    const auto end = std::min(range.end, range.first + limit);
    json.begin_object().key("edges").begin_array();
    auto nonce = range.first;
    // A page of large messages ends early: has_next_page says so.
    for (; nonce < end && json.text().size() < page_bytes_max; ++nonce) {
        TRY(const auto entry, node.scheduler().entry({id, nonce}));
        json.begin_object().key("node");
        write_node(json, entry, show_anchor);
        json.member("cursor",
                std::string_view(range.by_nonce ? std::to_string(nonce) : std::to_string(entry.assignment.timestamp_ms)))
            .end_object();
    }
    json.end_array().key("page_info").begin_object().member("has_next_page", nonce < range.end && end > range.first);
    json.end_object().end_object();
    return json_reply(std::move(json));
}

/// A message of the process that the query names, or a page of a process (3.6).
Result<Reply> message_or_page(Node& node, const Request& request)
{
    TRY(const auto id, ItemId::parse(request.parameter("id")));
    // The original wants the query's process-id; aoconnect's getMessages forgets it for pages.
    if (request.query_value("process-id") || !node.scheduler().process(ProcessId(id))) {
        TRY(const auto process, process_in_query(request));
        if (ProcessId(id) != process) {
            TRY(const auto slot, node.scheduler().slot_of(process, id));
            TRY(const auto entry, node.scheduler().entry(slot));
            JsonWriter json;
            write_node(json, entry, request.query_value("show-anchor").has_value());
            return json_reply(std::move(json));
        }
    }
    return page(node, request, ProcessId(id));
}

Result<Reply> process(Node& node, const Request& request)
{
    TRY(const auto id, ProcessId::parse(request.parameter("process")));
    TRY(const auto entry, node.scheduler().entry({id, 0}));
    const auto& header = entry.message.header();
    JsonWriter json;
    json.begin_object()
        .member("process_id", std::string_view(id.text()))
        .member("block", std::string_view(fmt::format("{:012}", entry.assignment.height)));
    write_owner(json, header);
    write_tags(json, header.tags());
    json.member("timestamp", entry.assignment.timestamp_ms);
    write_text_or_null(json, "data", entry.message.data(), false);
    write_anchor(json, header, false);
    json.member("signature", std::string_view(base64url(header.signature())));
    write_target(json, header);
    json.end_object();
    return json_reply(std::move(json));
}

Result<Reply> latest(Node& node, const Request& request)
{
    TRY(const auto id, ProcessId::parse(request.parameter("process")));
    TRY(const auto info, node.scheduler().process(id));
    TRY(const auto entry, node.scheduler().entry({id, info.slots - 1}));
    JsonWriter json;
    write_node(json, entry, request.query_value("show-anchor").has_value());
    return json_reply(std::move(json));
}

/// A number here, a text in `GET /`: both as the original has it (14).
Reply scheduled(std::int64_t timestamp_ms, std::string_view id)
{
    JsonWriter json;
    json.begin_object().member("timestamp", timestamp_ms).member("id", id).end_object();
    return json_reply(std::move(json));
}

/// An item is verified and scheduled. Computing and pushing is the messenger's: the one beside it here begins at once, as it does
/// for what another network's messenger brings.
Result<Reply> schedule(Node& node, const item::DataItem& item)
{
    const auto assign_it = [&node](const item::DataItem& one) -> Result<Reply> {
        TRY(const auto assignment, node.scheduler().assign(one));
        node.messenger().look_at(assignment.slot.process);
        return scheduled(assignment.timestamp_ms, assignment.message.text());
    };
    // A process is admitted first, which compiles its module: that may take seconds.
    if (!item.tags().has("Type", "Process"))
        return assign_it(item);
    return slowly(node, [assign_it, item] {
        auto reply = assign_it(item);
        return reply ? *std::move(reply) : scheduler_error(reply.error());
    });
}

Result<Reply> assign(Node& node, const Request& request)
{
    TRY(const auto asked, assign_request_of(request));
    TRY(const auto assignment, node.scheduler().assign(asked));
    node.messenger().look_at(assignment.slot.process);
    return scheduled(assignment.timestamp_ms, assignment.id.text());
}

}  // namespace

Router scheduler_routes(Node& node)
{
    Router router;
    router.errors_by(scheduler_error);
    router.get("/", "the scheduler's address and its time", [&node](const Request&) -> Result<Reply> {
        JsonWriter json;
        json.begin_object()
            .member("timestamp", std::string_view(std::to_string(node.clock().wall_ms())))
            .member("address", std::string_view(node.scheduler().address().text()))
            .end_object();
        return json_reply(std::move(json));
    });
    router.get("/timestamp", "its time and the height of its weave", [&node](const Request&) -> Result<Reply> {
        TRY(const auto tip, node.weave().tip());
        JsonWriter json;
        json.begin_object()
            .member("timestamp", std::string_view(std::to_string(node.clock().wall_ms())))
            .member("block_height", std::string_view(fmt::format("{:012}", tip.height)))
            .end_object();
        return json_reply(std::move(json));
    });
    router.stream("POST", "/", "schedules a message or a process, or assigns an item: ?process-id=&assign=",
        [&node](const Request& request) -> Result<std::unique_ptr<Body>> {
            if (request.query_value("assign") || request.query_value("process-id"))
                return std::make_unique<NoBody>([&node, request] { return assign(node, request); }, scheduler_error);
            return std::make_unique<MessageBody>(
                [&node](const item::DataItem& item) { return schedule(node, item); }, scheduler_error);
        });
    router.get("/processes/{process}", "a process item", [&node](const Request& request) { return process(node, request); });
    router.get("/{process}/latest", "the newest entry of a process's log",
        [&node](const Request& request) { return latest(node, request); });
    router.get("/{id}", "a scheduled message of ?process-id=, or a page of a process's log",
        [&node](const Request& request) { return message_or_page(node, request); });
    add_health_routes(router, node);
    add_scheduler_wire(router, node);
    return router;
}

}  // namespace altiplano::node::http
