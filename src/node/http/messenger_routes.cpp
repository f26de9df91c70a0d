#include "node/http/messenger_routes.hpp"

#include "base/log.hpp"
#include "node/http/delivery_routes.hpp"
#include "node/http/health_routes.hpp"
#include "node/http/later.hpp"
#include "node/http/message_body.hpp"
#include "node/http/reply.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

/// The sentence that the original says of any item that it cannot read stands in front (4.1).
Reply messenger_error(const Error& error)
{
    auto said = error;
    if (error.code.starts_with("item."))
        said.sentence = "'body': A valid and signed data item must be provided as the body. " + said.sentence;
    return error_reply(said);
}

/// `published=local`, where something else than what the item names was meant: a message's process, or a process's module.
Result<std::optional<std::string>> alias_in(Node& node, const item::DataItem& item, const units::Messenger::Accepted& accepted)
{
    std::string named, real;
    if (accepted.slot && item.tags().has("Type", "Message")) {
        named = item.target() ? item.target()->text() : "";
        real = accepted.slot->process.text();
    } else if (accepted.slot) {
        TRY(const auto process, node.scheduler().process(accepted.slot->process));
        named = item.tags().first("Module").value_or("");
        real = process.module.text();
    }
    return named == real ? std::nullopt : std::optional(fmt::format("{}={}", named, real));
}

Result<Reply> accept_now(Node& node, const item::DataItem& item, Targets targets)
{
    // A person who mistyped the process is told so; the original's clients may send to a wallet (4.2).
    if (targets == Targets::processes && item.target() && item.tags().has("Type", "Message")) {
        TRY(const auto process, node.scheduler().process(ProcessId(*item.target())));
    }
    TRY(const auto accepted, node.messenger().accept(item));
    JsonWriter json;
    json.begin_object().member("message", "Processing DataItem").member("id", std::string_view(accepted.id.text()));
    if (accepted.slot)
        json.member("process", std::string_view(accepted.slot->process.text())).member("slot", accepted.slot->nonce);
    json.end_object();
    auto reply = json_reply(std::move(json), 202);
    TRY(const auto alias, alias_in(node, item, accepted));
    if (alias) {
        log::info("{}: the alias {}", item.id().text(), *alias);
        reply.headers.emplace_back("Altiplano-Alias", *alias);
    }
    return reply;
}

Result<Reply> accept(Node& node, const item::DataItem& item, Targets targets)
{
    // A process is admitted first, which compiles its module: that may take seconds.
    if (!item.tags().has("Type", "Process"))
        return accept_now(node, item, targets);
    return slowly(node, [&node, item, targets] {
        auto reply = accept_now(node, item, targets);
        return reply ? *std::move(reply) : messenger_error(reply.error());
    });
}

Result<Reply> assign(Node& node, const Request& request)
{
    TRY(const auto asked, assign_request_of(request));
    TRY(const auto assignment, node.messenger().assign(asked));
    JsonWriter json;
    json.begin_object()
        .member("message", "Processing Assignment")
        .member("id", std::string_view(assignment.id.text()))
        .member("process", std::string_view(assignment.slot.process.text()))
        .member("slot", assignment.slot.nonce)
        .end_object();
    return json_reply(std::move(json), 202);
}

}  // namespace

Result<std::unique_ptr<Body>> take_message(Node& node, const Request& request, Targets targets)
{
    if (request.query_value("assign") || request.query_value("process-id"))
        return std::make_unique<NoBody>([&node, request] { return assign(node, request); }, messenger_error);
    return std::make_unique<MessageBody>(
        [&node, targets](const item::DataItem& item) { return accept(node, item, targets); }, messenger_error);
}

Router messenger_routes(Node& node)
{
    Router router;
    router.errors_by(messenger_error);
    router.get("/", "what this is; with ?debug=1&process= what a process sent", [&node](const Request& request) -> Result<Reply> {
        return request.query_value("debug") ? traces(node, request) : Result<Reply>(text_reply("ao messenger unit"));
    });
    router.stream("POST", "/", "takes a message or a process in, or assigns an item: ?process-id=&assign=",
        [&node](const Request& request) { return take_message(node, request, Targets::anybody); });
    router.get(
        "/~altiplano/unit", "which unit this is, and who signs what processes send", [&node](const Request&) -> Result<Reply> {
            JsonWriter json;
            json.begin_object()
                .member("unit", "messenger")
                .member("wire", std::int64_t{1})
                .member("authority", std::string_view(node.authority().text()))
                .end_object();
            return json_reply(std::move(json));
        });
    add_messenger_extras(router, node);
    add_health_routes(router, node);
    return router;
}

}  // namespace altiplano::node::http
