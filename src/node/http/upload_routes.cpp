#include "node/http/upload_routes.hpp"

#include "base/base64url.hpp"
#include "node/errors.hpp"
#include "node/http/reply.hpp"
#include "node/http/write_elsewhere.hpp"
#include "weave/adopt.hpp"
#include "weave/errors.hpp"
#include "weave/unbundle.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

// Data of at most 10 MiB in base64url, and the rest.
constexpr std::size_t transaction_body_max = std::size_t{15} << 20;
// More than any header within the limits.
constexpr std::uint64_t header_bytes_max = std::uint64_t{16} * 1024;

/// What became of a bundle's members, for whoever sent it.
void write_bundle(JsonWriter& json, const std::optional<weave::Unbundled>& bundle, const std::optional<Error>& no_bundle)
{
    if (no_bundle)
        json.key("bundle").raw(error_json(*no_bundle));
    if (!bundle)
        return;
    json.key("bundle").begin_object().member("members", bundle->members).member("refused", bundle->refused);
    json.key("refusals").begin_array();
    for (const auto& refusal : bundle->refusals)
        json.begin_object()
            .member("id", std::string_view(refusal.id.text()))
            .member("error", std::string_view(refusal.error.sentence))
            .member("code", refusal.error.code)
            .end_object();
    json.end_array().end_object();
}

/// Takes what comes as a data item in bytes, or as a transaction in JSON. Which of them it is, the first byte says: no signature
/// type of ANS-104 begins as JSON does. Clients' Content-Type is not asked, since many send none or a wrong one.
class TakeBody final : public Body {
public:
    explicit TakeBody(Node& node)
        : node_(node)
    {
    }

    Result<void> append(Bytes piece) override
    {
        if (!upload_ && json_.empty()) {
            const auto first = std::ranges::find_if(piece, [](std::byte b) {
                return b != std::byte{' '} && b != std::byte{'\n'} && b != std::byte{'\r'} && b != std::byte{'\t'};
            });
            if (first != piece.end() && *first == std::byte{'{'})
                piece = {first, piece.end()};
            else
                upload_.emplace(node_.weave().blobs());
        }
        if (upload_)
            return upload_->append(piece);
        if (json_.size() + piece.size() > transaction_body_max)
            return fail(errors::body_over_limit, fmt::format("a transaction has at most {} bytes of JSON", transaction_body_max),
                "post it without its data, and the data in chunks");
        json_ += as_text(piece);
        return {};
    }

    Reply finish() override
    {
        auto reply = json_.empty() ? take_item() : take_transaction();
        return reply ? *std::move(reply) : error_reply(reply.error());
    }

private:
    Result<Reply> take_item()
    {
        if (!upload_)
            upload_.emplace(node_.weave().blobs());
        TRY(auto item, upload_->finish());
        const auto header = item.header;
        TRY(const auto taken, weave::take(node_.weave(), std::move(item)));
        TRY(const auto stored, node_.weave().item(header.id()));
        JsonWriter json;
        json.begin_object()
            .member("id", std::string_view(header.id().text()))
            .member("size", stored.data_size)
            .member("height", stored.height);
        // The rest is what Turbo answers; the messenger wants `timestamp` to be a number.
        TRY(const auto block, node_.weave().block(stored.height));
        json.member("timestamp", static_cast<std::uint64_t>(block.timestamp_ms))
            .member("owner", std::string_view(header.owner().text()))
            .member("winc", "0")
            .member("deadlineHeight", stored.height);
        json.key("dataCaches").begin_array().end_array();
        json.key("fastFinalityIndexes").begin_array().end_array();
        write_bundle(json, taken.bundle, taken.no_bundle);
        json.end_object();
        return json_reply(std::move(json));
    }

    Result<Reply> take_transaction()
    {
        TRY(auto transaction, item::read_transaction(json_));
        json_.clear();
        const auto id = transaction.header.id();
        const auto size = transaction.header.layer1()->data_size;
        TRY(const auto posted, node_.transactions().post(std::move(transaction)));
        JsonWriter json;
        json.begin_object().member("id", std::string_view(id.text())).member("size", size);
        if (posted.block)
            json.member("height", posted.block->height);
        else
            json.member("pending", true);
        write_bundle(json, posted.bundle, posted.no_bundle);
        json.end_object();
        return json_reply(std::move(json));
    }

    Node& node_;
    std::optional<weave::Upload> upload_;
    std::string json_;
};

/// A header and nothing else: the data is a blob that this node has, which whoever may write into its data folder put there.
/// A client that knows a hash gains nothing that it could not read by an id.
Result<Reply> take_header(Node& node, const Request& request)
{
    TRY(const auto bytes, from_hex(request.parameter("hash")));
    TRY(const auto hash, Digest::from_bytes(bytes));
    TRY(const auto header, item::Header::parse(as_bytes(request.body)));
    TRY(auto item, weave::adopt(header, hash, node.weave().blobs()));
    TRY_OK(weave::take(node.weave(), std::move(item)));
    JsonWriter json;
    json.begin_object().member("id", std::string_view(header.id().text())).end_object();
    return json_reply(std::move(json));
}

}  // namespace

void add_upload_routes(Router& router, Node& node)
{
    const auto take = [&](std::string pattern, std::string summary) {
        router.stream(
            "POST", std::move(pattern), std::move(summary), [&node](const Request& request) -> Result<std::unique_ptr<Body>> {
                if (node.follows())
                    return take_for_elsewhere(node, request);
                return std::make_unique<TakeBody>(node);
            });
    };
    router.on(
        "POST", "/blob/{hash}",
        "stores the data item of this header, whose data is the blob with this SHA-256, which is here already",
        [&node](const Request& request) -> Result<Reply> {
            if (node.follows())
                return fail(errors::no_unit, "the weave of this node is a copy of another one's, and blobs are not passed on",
                    "post the whole item, here or to " + node.options().gateway_url);
            return take_header(node, request);
        },
        header_bytes_max);
    router.on("POST", "/check/{id}", "reads all of an item and verifies its signature",
        [&node](const Request& request) -> Result<Reply> {
            TRY(const auto id, ItemId::parse(request.parameter("id")));
            TRY_OK(node.weave().check(id));
            JsonWriter json;
            json.begin_object().member("id", std::string_view(id.text())).member("valid", true).end_object();
            return json_reply(std::move(json));
        });
    router.reads("POST", "/check/{id}");
    take("/tx", "stores a data item of any size, as bytes, or takes a transaction, as JSON");
    for (const auto* const pattern : {"/tx/{currency}", "/v1/tx", "/v1/tx/{currency}"})
        take(pattern, "the same, where bundlers have it");
}

}  // namespace altiplano::node::http
