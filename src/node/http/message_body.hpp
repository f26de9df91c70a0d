#pragma once

#include "item/data_item.hpp"
#include "node/http/message.hpp"
#include "units/types.hpp"

namespace altiplano::node::http {

/// Most bytes of a message or process that comes by HTTP.
inline constexpr std::uint64_t message_bytes_max = 64 << 20;

/// The body is a data item, which goes to `take` once it is whole; its signature is not checked yet.
class MessageBody final : public Body {
public:
    using Take = std::function<Result<Reply>(const item::DataItem& item)>;
    using ErrorReply = std::function<Reply(const Error& error)>;
    MessageBody(Take take, ErrorReply error)
        : take_(std::move(take))
        , error_(std::move(error))
    {
    }
    Result<void> append(Bytes piece) override;
    Reply finish() override;

private:
    Take take_;
    ErrorReply error_;
    Buffer wire_;
};

/// The body says nothing; little of it is read and forgotten.
class NoBody final : public Body {
public:
    NoBody(std::function<Result<Reply>()> act, MessageBody::ErrorReply error)
        : act_(std::move(act))
        , error_(std::move(error))
    {
    }
    Result<void> append(Bytes piece) override;
    Reply finish() override;

private:
    std::function<Result<Reply>()> act_;
    MessageBody::ErrorReply error_;
    std::uint64_t bytes_ = 0;
};

/// `?process-id=&assign=[&base-layer][&exclude=a,b]` (ao-protocol.md 3.4, 4.1). @return node.bad_request
Result<units::AssignRequest> assign_request_of(const Request& request);

}  // namespace altiplano::node::http
