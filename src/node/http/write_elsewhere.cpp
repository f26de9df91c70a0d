#include "node/http/write_elsewhere.hpp"

#include "node/errors.hpp"
#include "node/http/later.hpp"
#include "node/http/reply.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

constexpr std::size_t body_bytes_max = std::size_t{64} << 20;

class ForwardBody final : public Body {
public:
    ForwardBody(Node& node, Request request)
        : node_(node)
        , request_(std::move(request))
    {
    }
    Result<void> append(Bytes piece) override
    {
        if (body_.size() + piece.size() > body_bytes_max)
            return fail(errors::body_over_limit,
                fmt::format("this node passes on at most {} bytes: its weave is that of another one", body_bytes_max),
                "post it to " + node_.options().gateway_url);
        body_.insert(body_.end(), piece.begin(), piece.end());
        return {};
    }
    Reply finish() override { return write_elsewhere(node_, request_, std::move(body_)); }

private:
    Node& node_;
    Request request_;
    Buffer body_;
};

}  // namespace

Reply write_elsewhere(Node& node, const Request& request, Buffer body)
{
    auto kept = std::make_shared<Buffer>(std::move(body));
    return slowly(node, [&node, method = request.method, target = request.target, kept] {
        auto answer = node.write_elsewhere(method, target, *kept);
        if (!answer)
            return error_reply(answer.error());
        Reply reply{.status = answer->status, .content_type = std::string(answer->header("content-type")), .body = {}};
        reply.body = std::move(answer->body);
        return reply;
    });
}

std::unique_ptr<Body> take_for_elsewhere(Node& node, const Request& request)
{
    return std::make_unique<ForwardBody>(node, request);
}

}  // namespace altiplano::node::http
