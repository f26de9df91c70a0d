#include "node/http/routes.hpp"

#include "node/errors.hpp"
#include "node/http/gateway_routes.hpp"
#include "node/http/own_routes.hpp"
#include "node/http/reply.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

constexpr std::uint64_t message_bytes_max = 64 << 20;

class MessageBody final : public Body {
public:
    explicit MessageBody(Node& node)
        : node_(node)
    {
    }
    Result<void> append(Bytes piece) override
    {
        if (wire_.size() + piece.size() > message_bytes_max)
            return fail(errors::body_over_limit, fmt::format("a message has at most {} bytes", message_bytes_max),
                "put large data with POST /tx and name its id");
        altiplano::append(wire_, piece);
        return {};
    }
    Reply finish() override
    {
        const auto accepted = [&]() -> Result<units::Messenger::Accepted> {
            TRY(const auto item, item::DataItem::parse(std::move(wire_)));
            return node_.messenger().accept(item);
        }();
        if (!accepted)
            return error_reply(accepted.error());
        JsonWriter json;
        json.begin_object().member("id", std::string_view(accepted->id.text()));
        if (accepted->slot)
            json.member("process", std::string_view(accepted->slot->process.text())).member("slot", accepted->slot->nonce);
        json.end_object();
        return json_reply(std::move(json));
    }

private:
    Node& node_;
    Buffer wire_;
};

}  // namespace

std::unique_ptr<Router> routes(Node& node)
{
    auto router = std::make_unique<Router>();
    router->get("/", "what this is", [](const Request&) -> Result<Reply> {
        return text_reply("Altiplano, the AO computer. /info says which one; /~altiplano/status how it is.\n");
    });
    router->stream("POST", "/", "takes a message or a process in",
        [&node](const Request&) -> Result<std::unique_ptr<Body>> { return std::make_unique<MessageBody>(node); });
    add_own_routes(*router, node);
    add_gateway_routes(*router, node);
    return router;
}

}  // namespace altiplano::node::http
