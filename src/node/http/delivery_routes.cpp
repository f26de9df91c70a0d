#include "node/http/delivery_routes.hpp"

#include "node/errors.hpp"
#include "node/http/message_body.hpp"
#include "node/http/reply.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

using State = store::DeliveryRecord::State;
constexpr std::uint64_t page_max = 1000;

Result<std::uint64_t> number_or(const Request& request, std::string_view name, std::uint64_t otherwise)
{
    const auto text = request.query_value(name);
    return text && !text->empty() ? number_in(*text, name) : Result<std::uint64_t>(otherwise);
}

/// What kind of task the original would call it; an item that could not be made is none of them.
std::string_view type_of(const store::DeliveryRecord& delivery, const std::optional<item::Header>& header)
{
    if (!header)
        return delivery.last_error.starts_with("messenger.bad_outgoing") ? "UNSENDABLE" : "ASSIGN";
    return header->tags().has("Type", "Process") ? "SPAWN" : "MESSAGE";
}

void write_delivery(JsonWriter& json, const store::DeliveryRecord& delivery, const std::optional<item::Header>& header)
{
    json.begin_object()
        .member("process", std::string_view(delivery.process.text()))
        .member("slot", delivery.nonce)
        .member("cron", delivery.cron)
        .member("index", delivery.index)
        .member("type", type_of(delivery, header));
    if (header)
        json.member("id", std::string_view(header->id().text()));
    if (header && header->target())
        json.member("target", std::string_view(header->target()->text()));
    json.member("state",
            delivery.state == State::signed_        ? "signed"
                : delivery.state == State::accepted ? "accepted"
                                                    : "dead")
        .member("attempts", delivery.attempts)
        .member("hops", delivery.hops);
    if (!delivery.last_error.empty())
        json.member("error", std::string_view(delivery.last_error));
    json.end_object();
}

std::optional<item::Header> header_of(const store::DeliveryRecord& delivery)
{
    if (delivery.item.empty())
        return std::nullopt;
    auto header = item::Header::parse(delivery.item, UINT64_MAX);
    return header ? std::optional(*std::move(header)) : std::nullopt;
}

Result<Reply> dead(Node& node, const Request& request)
{
    store::DeliveryQuery query{.state = State::dead};
    if (const auto process = request.query_value("process")) {
        TRY(query.process, ProcessId::parse(*process));
    }
    TRY(query.skip, number_or(request, "skip", 0));
    TRY(const auto limit, number_or(request, "limit", 100));
    query.limit = std::clamp<std::uint64_t>(limit, 1, page_max) + 1;
    TRY(auto found, node.records().deliveries(query));
    const bool more = found.size() == query.limit;
    if (more)
        found.pop_back();
    JsonWriter json;
    json.begin_object().key("dead").begin_array();
    for (const auto& delivery : found)
        write_delivery(json, delivery, header_of(delivery));
    json.end_array().member("more", more).end_object();
    return json_reply(std::move(json));
}

Result<Reply> push_dead(Node& node, const Request& request)
{
    TRY(const auto process, ProcessId::parse(request.parameter("process")));
    TRY(const auto slot, slot_named(process, request.parameter("slot")));
    TRY(const auto index, number_in(request.parameter("index"), "index"));
    TRY(const auto id, node.messenger().push(slot, index));
    JsonWriter json;
    json.begin_object().member("pushed", true);
    if (id != ItemId{})
        json.member("id", std::string_view(id.text()));
    json.end_object();
    return json_reply(std::move(json), 202);
}

/// Outbox entry `number` of a message, once more: the same signed item, which is taken once wherever it arrived already.
Result<Reply> push(Node& node, const Request& request)
{
    const auto number = number_in(request.parameter("number"), "number");
    if (!number)
        return fail(errors::bad_request, "'number' parameter must be a valid number");
    const auto named = request.query_value("process-id");
    if (!named)
        return fail(errors::bad_request, "'process-id': Required. ", "add ?process-id=<id>");
    TRY(const auto process, ProcessId::parse(*named));
    TRY(const auto message, ItemId::parse(request.parameter("id")));
    TRY(const auto slot, node.scheduler().slot_of(process, message));
    TRY(const auto id, node.messenger().push(slot, *number));
    JsonWriter json;
    json.begin_object().member("message", "Processing Message Result").member("id", std::string_view(message.text()));
    if (id != ItemId{})
        json.member("pushed", std::string_view(id.text()));
    json.end_object();
    return json_reply(std::move(json), 202);
}

Reply monitor_error(const Error& error)
{
    auto said = error;
    if (error.code.starts_with("item."))
        said.sentence = "Signed data item is required: " + said.sentence;
    return error_reply(said);
}

void add_monitor(Router& router, Node& node, std::string method, std::string summary, std::string answer,
    Result<void> (units::Messenger::*act)(const item::DataItem&))
{
    router.stream(std::move(method), "/monitor/{process}", std::move(summary),
        [&node, act, answer = std::move(answer)](const Request& request) -> Result<std::unique_ptr<Body>> {
            TRY(const auto named, ProcessId::parse(request.parameter("process")));
            return std::make_unique<MessageBody>(
                [&node, act, answer, named](const item::DataItem& item) -> Result<Reply> {
                    // The original takes the item's target and ignores the path.
                    if (item.target() && ProcessId(*item.target()) != named)
                        return fail(errors::bad_request,
                            fmt::format("the path names the process {}, the item {}", named.text(), item.target()->text()));
                    TRY_OK((node.messenger().*act)(item));
                    return text_reply(answer);
                },
                monitor_error);
        });
}

}  // namespace

Result<units::Slot> slot_named(const ProcessId& process, std::string_view text)
{
    const auto dot = text.find('.');
    units::Slot slot{process};
    TRY(slot.nonce, number_in(text.substr(0, dot), "slot"));
    if (dot != text.npos) {
        TRY(slot.cron, number_in(text.substr(dot + 1), "slot's cron evaluation"));
    }
    return slot;
}

Result<Reply> traces(Node& node, const Request& request)
{
    const auto named = request.query_value("process");
    if (!named)
        return fail(errors::bad_request, "'process': Required. ", "add &process=<id>");
    store::DeliveryQuery query;
    TRY(query.process, ProcessId::parse(*named));
    std::optional<std::pair<std::string_view, ItemId>> filter;
    for (const auto* kind : {"message", "spawn", "assign"}) {
        const auto text = request.query_value(kind);
        if (!text)
            continue;
        if (filter) {
            auto reply = error_reply({errors::bad_request, "Only one of 'message', 'spawn', or 'assign' may be provided", ""});
            reply.status = 422;
            return reply;
        }
        TRY(const auto id, ItemId::parse(*text));
        filter = {kind, id};
    }
    TRY(const auto page, number_or(request, "page", 1));
    TRY(const auto size, number_or(request, "page-size", 10));
    query.limit = std::clamp<std::uint64_t>(size, 1, page_max);
    query.skip = (std::clamp<std::uint64_t>(page, 1, UINT32_MAX) - 1) * query.limit;
    ++query.limit;

    // One item is one delivery; whatever else is asked for is a page of them.
    std::vector<store::DeliveryRecord> found;
    if (filter) {
        TRY(auto one, node.records().delivery_of(filter->second));
        if (one && one->process == *query.process)
            found.push_back(*std::move(one));
    } else {
        TRY(found, node.records().deliveries(query));
    }
    const bool more = found.size() == query.limit;
    if (more)
        found.pop_back();
    JsonWriter json;
    json.begin_object().key("pageInfo").begin_object().member("hasNextPage", more).end_object().key("edges").begin_array();
    for (const auto& delivery : found) {
        json.begin_object().key("node");
        write_delivery(json, delivery, header_of(delivery));
        json.member("cursor", std::string_view(fmt::format("{}.{}.{}", delivery.nonce, delivery.cron, delivery.index)))
            .end_object();
    }
    json.end_array().end_object();
    return json_reply(std::move(json));
}

void add_delivery_routes(Router& router, Node& node)
{
    router.get("/~altiplano/dead", "deliveries that were refused, with the reason: ?process=&skip=&limit=",
        [&node](const Request& request) { return dead(node, request); });
    router.on("POST", "/~altiplano/dead/{process}/{slot}/{index}/push", "sends one once more",
        [&node](const Request& request) { return push_dead(node, request); });
}

void add_messenger_extras(Router& router, Node& node)
{
    router.on("POST", "/push/{id}/{number}", "sends entry {number} of the outbox of message {id} of ?process-id= once more",
        [&node](const Request& request) { return push(node, request); });
    router.on("POST", "/push-result/{id}/{number}", "not offered: what a caller makes up is not signed here",
        [](const Request&) -> Result<Reply> {
            return fail(errors::bad_request, "Push is disabled: results that a caller brings are not signed by this messenger",
                "POST /push/<id>/<number>?process-id=<id> sends what the process itself said");
        });
    add_monitor(router, node, "POST", "looks after the cron of a process; the body is an item signed by its owner",
        "Monitoring process", &units::Messenger::monitor);
    add_monitor(router, node, "DELETE", "no longer", "Process deleted", &units::Messenger::unmonitor);
}

}  // namespace altiplano::node::http
