#include "node/http/unit_wire.hpp"

#include "node/errors.hpp"
#include "node/http/delivery_routes.hpp"
#include "node/http/later.hpp"
#include "node/http/message_body.hpp"
#include "node/http/reply.hpp"
#include "units/wire.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

constexpr std::uint64_t dry_run_bytes_max = 16 << 20;
constexpr std::uint64_t blocks_max = 256;
constexpr std::uint64_t blocks_bytes_max = 16 << 20;
constexpr std::uint64_t inline_bytes_max = 64 * 1024;

Reply bytes_reply(const Buffer& bytes)
{
    return {.content_type = "application/octet-stream", .body = to_string(bytes)};
}

Reply or_error(Result<Reply> reply)
{
    return reply ? *std::move(reply) : error_reply(reply.error());
}

Result<units::Slot> slot_in(const Request& request)
{
    TRY(const auto process, ProcessId::parse(request.parameter("process")));
    return slot_named(process, request.parameter("slot"));
}

/// `?until=` in milliseconds; a time before 1970 asks for nothing.
Result<std::int64_t> until_in(const Request& request, std::int64_t otherwise)
{
    const auto text = request.query_value("until");
    if (!text || text->empty())
        return otherwise;
    if (text->starts_with('-'))
        return INT64_MIN;
    TRY(const auto until, number_in(*text, "until"));
    return static_cast<std::int64_t>(std::min(until, std::uint64_t{INT64_MAX}));
}

/// How far the time of a process is settled: POST, since it is promised for ever.
Result<Reply> close(Node& node, const Request& request)
{
    TRY(const auto process, ProcessId::parse(request.parameter("process")));
    TRY(const auto until, until_in(request, INT64_MIN));
    TRY(const auto closing, node.scheduler().close(process, until));
    JsonWriter json;
    json.begin_object().member("time", closing.time_ms).member("height", closing.height).end_object();
    return json_reply(std::move(json));
}

Result<Reply> cron(Node& node, const Request& request)
{
    units::CronRequest asked{.parked_too = request.query_value("parked").has_value()};
    TRY(asked.process, ProcessId::parse(request.parameter("process")));
    TRY(asked.until_ms, until_in(request, INT64_MAX));
    if (const auto text = request.query_value("max")) {
        TRY(const auto most, number_in(*text, "max"));
        asked.evaluations_max = std::min(most, asked.evaluations_max);
    }
    return slowly(node, [&node, asked] {
        const auto reach = node.compute().cron(asked);
        if (!reach)
            return error_reply(reach.error());
        JsonWriter json;
        json.begin_object()
            .member("evaluated", reach->evaluated)
            .member("due", reach->left)
            .member("until", reach->until_ms)
            .end_object();
        return json_reply(std::move(json));
    });
}

Router::Handler unit_of(std::string name)
{
    return [name = std::move(name)](const Request&) -> Result<Reply> {
        JsonWriter json;
        json.begin_object().member("unit", std::string_view(name)).member("wire", std::int64_t{1}).end_object();
        return json_reply(std::move(json));
    };
}

Result<Reply> assign_item(Node& node, const item::DataItem& item)
{
    TRY_OK(item.verify());
    TRY(const auto assignment, node.scheduler().assign(item));
    return bytes_reply(assignment.item.wire());
}

Result<std::unique_ptr<Body>> assign(Node& node, const Request& request)
{
    if (request.query_value("assign"))
        return std::make_unique<NoBody>(
            [&node, request]() -> Result<Reply> {
                TRY(const auto asked, assign_request_of(request));
                TRY(const auto assignment, node.scheduler().assign(asked));
                return bytes_reply(assignment.item.wire());
            },
            error_reply);
    return std::make_unique<MessageBody>(
        [&node](const item::DataItem& item) -> Result<Reply> {
            // A process is admitted first, which compiles its module.
            if (!item.tags().has("Type", "Process"))
                return assign_item(node, item);
            return slowly(node, [&node, item] { return or_error(assign_item(node, item)); });
        },
        error_reply);
}

Result<Reply> process(Node& node, const Request& request)
{
    TRY(const auto id, ProcessId::parse(request.parameter("process")));
    TRY(const auto info, node.scheduler().process(id));
    TRY(const auto account, node.scheduler().account(id));
    JsonWriter json;
    json.begin_object()
        .member("process", std::string_view(info.id.text()))
        .member("module", std::string_view(info.module.text()))
        .member("owner", std::string_view(info.owner.text()))
        .member("scheduler", std::string_view(info.scheduler.text()))
        .member("account", std::string_view(account.text()))
        .member("slots", info.slots)
        .end_object();
    return json_reply(std::move(json));
}

Result<Reply> slot_reply(const ProcessId& process, std::uint64_t nonce)
{
    JsonWriter json;
    json.begin_object().member("process", std::string_view(process.text())).member("slot", nonce).end_object();
    return json_reply(std::move(json));
}

/// Blocks from a height on: for each a JSON head, then its items one after the other; large ones are left to be asked for.
Result<Reply> blocks(Node& node, const Request& request)
{
    TRY(auto height, number_in(request.parameter("height"), "height"));
    TRY(const auto tip, node.weave().tip());
    Buffer out;
    for (std::uint64_t count = 0; height <= tip.height && count < blocks_max && out.size() < blocks_bytes_max;
        ++height, ++count) {
        TRY(const auto block, node.weave().block(height));
        JsonWriter json;
        json.begin_object()
            .member("height", block.height)
            .member("hash", std::string_view(block.hash.text()))
            .member("previous", std::string_view(block.previous.text()))
            .member("timestamp", block.timestamp_ms)
            .key("items")
            .begin_array();
        Buffer items;
        for (const auto& id : block.items) {
            TRY(const auto stored, node.weave().item(id));
            const bool within = stored.data_size <= inline_bytes_max;
            if (within) {
                TRY(const auto item, node.weave().whole(id));
                append(items, units::wire::join({item.wire()}));
            }
            json.begin_object().member("id", std::string_view(id.text())).member("within", within).end_object();
        }
        json.end_array().end_object();
        append(out, units::wire::join({as_bytes(json.text()), items}));
    }
    return bytes_reply(out);
}

/// An item exactly as it was signed, of any size.
Result<Reply> item(Node& node, const Request& request)
{
    TRY(const auto id, ItemId::parse(request.parameter("id")));
    TRY(const auto stored, node.weave().item(id));
    Reply reply{.content_type = "application/octet-stream", .body = to_string(stored.header.wire())};
    TRY(reply.data, node.weave().data(id));
    reply.data_length = reply.data->size();
    return reply;
}

}  // namespace

void add_scheduler_wire(Router& router, Node& node)
{
    router.errors_by(error_reply);
    router.get("/~altiplano/unit", "which unit this is, and that it speaks our wire", unit_of("scheduler"));
    router.get("/~altiplano/entry/{process}/{slot}", "assignment and message of a slot, exactly",
        [&node](const Request& request) -> Result<Reply> {
            TRY(const auto slot, slot_in(request));
            TRY(const auto entry, node.scheduler().entry(slot));
            return bytes_reply(units::wire::encode(entry));
        });
    router.get("/~altiplano/slot/{process}/{message}", "the slot of a message", [&node](const Request& request) -> Result<Reply> {
        TRY(const auto process, ProcessId::parse(request.parameter("process")));
        TRY(const auto message, ItemId::parse(request.parameter("message")));
        TRY(const auto slot, node.scheduler().slot_of(process, message));
        return slot_reply(slot.process, slot.nonce);
    });
    router.get("/~altiplano/slot-after/{process}/{timestamp}", "the first slot that is later than a time",
        [&node](const Request& request) -> Result<Reply> {
            TRY(const auto process, ProcessId::parse(request.parameter("process")));
            TRY(const auto timestamp, number_in(request.parameter("timestamp"), "timestamp"));
            const auto time = static_cast<std::int64_t>(std::min(timestamp, std::uint64_t{INT64_MAX}));
            TRY(const auto nonce, node.scheduler().slot_after(process, time));
            return slot_reply(process, nonce);
        });
    router.on("POST", "/~altiplano/close/{process}", "promises that no later entry has a time up to ?until=",
        [&node](const Request& request) { return close(node, request); });
    router.get("/~altiplano/process/{process}", "a process: module, owner, slots",
        [&node](const Request& request) { return process(node, request); });
    router.get("/~altiplano/processes", "the ids of all processes", [&node](const Request&) -> Result<Reply> {
        TRY(const auto all, node.scheduler().processes());
        JsonWriter json;
        json.begin_object().key("ids").begin_array();
        for (const auto& id : all)
            json.string(id.text());
        json.end_array().end_object();
        return json_reply(std::move(json));
    });
    router.stream("POST", "/~altiplano/assign", "schedules an item, or assigns one: the answer is the assignment's bytes",
        [&node](const Request& request) { return assign(node, request); });
}

void add_compute_wire(Router& router, Node& node)
{
    router.errors_by(error_reply);
    router.get("/~altiplano/unit", "which unit this is, and that it speaks our wire", unit_of("compute"));
    router.get(
        "/~altiplano/result/{process}/{slot}", "the result of a slot, exactly", [&node](const Request& request) -> Result<Reply> {
            TRY(const auto slot, slot_in(request));
            return when_there(node, slot, [](const auto& result) {
                return result ? bytes_reply(units::wire::encode(*result)) : error_reply(result.error());
            });
        });
    router.on("POST", "/~altiplano/cron/{process}",
        "evaluates what is due by cron: ?until=&max=&parked=", [&node](const Request& request) { return cron(node, request); });
    router.get("/~altiplano/stored/{process}/{slot}", "the same if it is there already, else 204",
        [&node](const Request& request) -> Result<Reply> {
            TRY(const auto slot, slot_in(request));
            TRY(const auto result, node.compute().stored(slot));
            return result ? bytes_reply(units::wire::encode(*result)) : Reply{.status = 204};
        });
    router.on(
        "POST", "/~altiplano/dry-run", "a dry run, its result exactly",
        [&node](const Request& request) -> Result<Reply> {
            TRY(const auto process, ProcessId::parse(request.query_value("process-id").value_or("")));
            return slowly(node, [&node, process, body = request.body] {
                const auto result = node.compute().dry_run({.process = process, .body = body});
                return result ? bytes_reply(units::wire::encode(*result)) : error_reply(result.error());
            });
        },
        dry_run_bytes_max);
    router.reads("POST", "/~altiplano/dry-run");
    router.stream("POST", "/~altiplano/admit", "under which semantics a process would run here",
        [&node](const Request&) -> Result<std::unique_ptr<Body>> {
            return std::make_unique<MessageBody>(
                [&node](const item::DataItem& process) -> Result<Reply> {
                    TRY_OK(process.verify());
                    return slowly(node, [&node, process] {
                        const auto semantics = node.admit(process);
                        return semantics ? Reply{.body = units::wire::encode(*semantics)} : error_reply(semantics.error());
                    });
                },
                error_reply);
        });
}

void add_weave_wire(Router& router, Node& node)
{
    router.get("/~altiplano/weave/{height}", "blocks from a height on, with their items, for nodes that follow",
        [&node](const Request& request) { return blocks(node, request); });
    router.get("/~altiplano/item/{id}", "an item exactly as it was signed",
        [&node](const Request& request) { return item(node, request); });
}

}  // namespace altiplano::node::http
