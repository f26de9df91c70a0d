#include "node/http/message_body.hpp"

#include "node/errors.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

Result<void> MessageBody::append(Bytes piece)
{
    if (wire_.size() + piece.size() > message_bytes_max)
        return fail(errors::body_over_limit, fmt::format("a message has at most {} bytes", message_bytes_max),
            "put large data with POST /tx and name its id");
    altiplano::append(wire_, piece);
    return {};
}

Reply MessageBody::finish()
{
    auto reply = [&]() -> Result<Reply> {
        TRY(const auto item, item::DataItem::parse(std::move(wire_)));
        return take_(item);
    }();
    return reply ? *std::move(reply) : error_(reply.error());
}

Result<void> NoBody::append(Bytes piece)
{
    constexpr std::uint64_t little = 64 * 1024;
    bytes_ += piece.size();
    if (bytes_ > little)
        return fail(errors::body_over_limit, "this request takes no body");
    return {};
}

Reply NoBody::finish()
{
    auto reply = act_();
    return reply ? *std::move(reply) : error_(reply.error());
}

Result<units::AssignRequest> assign_request_of(const Request& request)
{
    const auto process = request.query_value("process-id");
    const auto message = request.query_value("assign");
    if (!process || !message)
        return fail(errors::bad_request, "You must set both process-id and assign to send an assignment, not just one",
            "If sending assign or process-id, you must send both.");
    units::AssignRequest asked{.process = {}, .message = {}};
    TRY(asked.process, ProcessId::parse(*process));
    TRY(asked.message, ItemId::parse(*message));
    const auto base_layer = request.query_value("base-layer");
    asked.base_layer = base_layer && *base_layer != "false";
    if (const auto text = request.query_value("exclude")) {
        for (auto rest = *text; !rest.empty();) {
            const auto one = rest.substr(0, rest.find(','));
            if (!one.empty())
                asked.exclude.emplace_back(one);
            rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        }
    }
    return asked;
}

}  // namespace altiplano::node::http
