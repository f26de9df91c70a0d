#include "node/http/door_routes.hpp"

#include "door/errors.hpp"
#include "door/stream.hpp"
#include "node/errors.hpp"
#include "node/http/reply.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

Reply openai_error(const Error& error)
{
    const auto status = status_of(error.code);
    return {.status = status, .body = door::error_body(error, status) + "\n"};
}

/// Where the answer is, for programs that look at headers only.
std::vector<std::pair<std::string, std::string>> place_of(const door::Job& job)
{
    return {{"X-Altiplano-Process", job.slot.process.text()}, {"X-Altiplano-Slot", std::to_string(job.slot.nonce)},
        {"X-Altiplano-Message", job.message.text()}};
}

Reply whole_reply(const door::Wish& wish, const door::Job& job, const Result<units::SlotResult>& result)
{
    const auto answer = result ? door::told(*result) : Result<door::Told>(std::unexpected(result.error()));
    auto reply = answer ? Reply{.body = door::whole_answer(wish, job, *answer, *result) + "\n"} : openai_error(answer.error());
    reply.headers = place_of(job);
    if (result)
        reply.headers.emplace_back("X-Altiplano-State-Root", result->state_root.text());
    return reply;
}

void answer_whole(Node& node, const door::Wish& wish, const std::function<void(Reply)>& done)
{
    const auto sent = node.door()->send(wish, nullptr);
    if (!sent)
        return done(openai_error(sent.error()));
    const auto asked = node.waiting().ask(
        sent->job.slot, [wish, sent = *sent, done](const auto& result) { done(whole_reply(wish, sent.job, result)); });
    if (!asked)
        done(openai_error(asked.error()));
}

void answer_streamed(Node& node, const door::Wish& wish, const std::function<void(Reply)>& done)
{
    const auto stream = std::make_shared<door::Stream>(wish);
    auto sent = node.door()->send(wish, [stream](const units::ConsolePiece& piece) { stream->piece(piece); });
    if (!sent)
        return done(openai_error(sent.error()));
    stream->begin(sent->job);
    const auto asked =
        node.waiting().ask(sent->job.slot, [stream, open = sent->open](const auto& result) { stream->end(result); });
    if (!asked)
        return done(openai_error(asked.error()));

    Reply reply{.headers = place_of(sent->job)};
    // When the client goes, its stream is forgotten and the worker is no longer listened to; the message stays in the log.
    struct Listening {
        std::shared_ptr<door::Stream> stream;
        std::shared_ptr<void> watch;
        ~Listening() { stream->listen(nullptr); }
    };
    reply.events = [stream, watch = std::move(sent->watch)](Reply::Push push) -> std::shared_ptr<void> {
        auto listening = std::make_shared<Listening>(stream, watch);
        stream->listen(std::move(push));
        return listening;
    };
    done(std::move(reply));
}

/// Takes the body whole, with errors in the shape that clients of this API expect.
class WishBody final : public Body {
public:
    using Read = Result<door::Wish> (*)(std::string_view body, Random& random);
    WishBody(Node& node, Read read)
        : node_(node)
        , read_(read)
    {
    }
    Result<void> append(Bytes piece) override
    {
        over_ = over_ || text_.size() + piece.size() > door::body_bytes_max;
        if (!over_)
            text_ += as_text(piece);
        return {};
    }
    Reply finish() override
    {
        if (over_)
            return openai_error(
                {door::errors::body_over_limit, fmt::format("a request has at most {} bytes", door::body_bytes_max), {}});
        auto wish = read_(text_, node_.door()->random());
        if (!wish)
            return openai_error(wish.error());
        // Sending waits for the disk, and the first time for the workers to be made: not on a thread of the server.
        Reply reply;
        reply.later = [&node = node_, wish = *std::move(wish)](const std::function<void(Reply)>& done) {
            const auto taken = node.waiting().run([&node, wish, done] {
                if (wish.stream)
                    answer_streamed(node, wish, done);
                else
                    answer_whole(node, wish, done);
            });
            if (!taken)
                done(openai_error(taken.error()));
        };
        return reply;
    }

private:
    Node& node_;
    const Read read_;
    std::string text_;
    bool over_ = false;
};

bool is_this_machine(std::string_view origin)
{
    const auto scheme = origin.find("://");
    auto host = scheme == origin.npos ? origin : origin.substr(scheme + 3);
    if (const auto port = host.rfind(':'); port != host.npos && host.find(']', port) == host.npos)
        host = host.substr(0, port);
    return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

Result<void> may_ask(const Request& request)
{
    if (!request.may_write)
        return fail(errors::key_needed, "this node wants a key: give one of its API keys as the client's api_key");
    const auto origin = request.header("origin");
    if (!origin.empty() && !request.has_key && !is_this_machine(origin))
        return fail(door::errors::foreign_origin, fmt::format("a page of {} asks, which is not this machine", one_line(origin)),
            "give the node api_keys, and the page one of them");
    return {};
}

void write_model(JsonWriter& json, const door::Door::Model& model)
{
    json.begin_object().member("id", std::string_view(model.name)).member("object", "model");
    json.member("created", model.stored_ms / 1000).member("owned_by", std::string_view(model.attestor));
    json.key("altiplano").begin_object().member("item", std::string_view(model.item.text())).end_object().end_object();
}

Result<Reply> models(Node& node, const Request& request)
{
    TRY_OK(may_ask(request));
    TRY(const auto found, node.door()->models());
    JsonWriter json;
    json.begin_object().member("object", "list").key("data").begin_array();
    for (const auto& model : found)
        write_model(json, model);
    json.end_array().end_object();
    return json_reply(std::move(json));
}

Result<Reply> model(Node& node, const Request& request)
{
    TRY_OK(may_ask(request));
    TRY(const auto found, node.door()->model(std::string(request.parameter("model"))));
    JsonWriter json;
    write_model(json, found);
    return json_reply(std::move(json));
}

}  // namespace

Router door_routes(Node& node)
{
    Router router;
    router.errors_by(openai_error);
    const auto completions = [&](const std::string& pattern, std::string summary, WishBody::Read read) {
        router.stream(
            "POST", pattern, std::move(summary), [&node, read](const Request& request) -> Result<std::unique_ptr<Body>> {
                TRY_OK(may_ask(request));
                return std::make_unique<WishBody>(node, read);
            });
        router.reads("POST", pattern);  // who may ask is decided here, so that the refusal has this API's shape
    };
    completions("/v1/chat/completions", "the next message of a conversation, by a worker process; OpenAI's API", door::read_chat);
    completions("/v1/completions", "how a text goes on, by a worker process; OpenAI's API", door::read_completion);
    router.get("/v1/models", "the models that may be asked", [&node](const Request& request) { return models(node, request); });
    router.get("/v1/models/{model...}", "one of them", [&node](const Request& request) { return model(node, request); });
    return router;
}

}  // namespace altiplano::node::http
