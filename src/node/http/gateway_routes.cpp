#include "node/http/gateway_routes.hpp"

#include "node/errors.hpp"
#include "node/http/reply.hpp"
#include "weave/upload.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

/// What a range header asks for of `size` bytes. Nothing: all of it, also for a header that makes no sense, since
/// WeaveDrive's clients send such and expect the whole (ao-protocol.md 7.2).
struct Part {
    std::uint64_t offset;
    std::uint64_t length;
};
Result<std::optional<Part>> part_of(std::string_view range, std::uint64_t size)
{
    constexpr std::string_view unit = "bytes=";
    if (!range.starts_with(unit) || range.find(',') != range.npos)
        return std::optional<Part>{};
    const auto spec = range.substr(unit.size());
    const auto dash = spec.find('-');
    if (dash == spec.npos)
        return std::optional<Part>{};
    const auto first = number_in(spec.substr(0, dash), "range");
    const auto last = number_in(spec.substr(dash + 1), "range");
    if (dash == 0 && last) {
        const auto length = std::min(*last, size);
        if (length == 0)
            return fail(errors::bad_range, fmt::format("the range {} holds no byte of {}", range, size));
        return std::optional(Part{size - length, length});
    }
    if (!first || (!last && dash + 1 != spec.size()) || (last && *last < *first))
        return std::optional<Part>{};
    if (*first >= size)
        return fail(errors::bad_range, fmt::format("the range {} begins past the end of {} bytes", range, size));
    return std::optional(Part{*first, (last ? std::min(*last, size - 1) : size - 1) - *first + 1});
}

class ItemBody final : public Body {
public:
    explicit ItemBody(Node& node)
        : node_(node)
        , upload_(node.weave().blobs())
    {
    }
    Result<void> append(Bytes piece) override { return upload_.append(piece); }
    Reply finish() override
    {
        const auto stored = [&]() -> Result<std::pair<ItemId, weave::StoredItem>> {
            TRY(auto item, upload_.finish());
            const auto id = item.header.id();
            std::vector<weave::NewItem> items;
            items.push_back(std::move(item));
            TRY(const auto block, node_.weave().put(std::move(items)));
            TRY(auto found, node_.weave().item(id));
            return std::pair{id, std::move(found)};
        }();
        if (!stored)
            return error_reply(stored.error());
        JsonWriter json;
        json.begin_object()
            .member("id", std::string_view(stored->first.text()))
            .member("size", stored->second.data_size)
            .member("height", stored->second.height)
            .end_object();
        return json_reply(std::move(json));
    }

private:
    Node& node_;
    weave::Upload upload_;
};

Result<Reply> info(Node& node)
{
    TRY(const auto tip, node.weave().tip());
    JsonWriter json;
    json.begin_object()
        .member("network", "altiplano")
        .member("version", std::int64_t{1})
        .member("release", std::int64_t{1})
        .member("height", tip.height);
    json.member("current", std::string_view(tip.hash.text()))
        .member("blocks", tip.height + 1)
        .member("peers", std::int64_t{0})
        .member("queue_length", std::int64_t{0});
    json.member("weave", std::string_view(node.weave().id().text()))
        .member("scheduler", std::string_view(node.scheduler().address().text()));
    json.member("authority", std::string_view(node.authority().text())).end_object();
    return json_reply(std::move(json));
}

Result<Reply> item(Node& node, const Request& request)
{
    const auto id_or = ItemId::parse(request.parameter("id"));
    if (!id_or)
        return fail(errors::unknown_path, fmt::format("there is nothing at {}, which is no id either", request.path),
            "an id has 43 characters of base64url");
    const auto id = *id_or;
    TRY(const auto stored, node.weave().item(id));
    Reply reply;
    const auto type = one_line(stored.header.tags().first("Content-Type").value_or("application/octet-stream"));
    reply.content_type = type;
    const auto tag = fmt::format("\"{}\"", id.text());
    reply.headers = {{"ETag", tag}, {"Accept-Ranges", "bytes"}, {"Cache-Control", "public, max-age=31536000, immutable"},
        {"Access-Control-Expose-Headers", "*"}};
    // A stranger's page must not act with this origin's rights.
    for (const auto* active : {"html", "svg", "xml"})
        if (type.find(active) != type.npos)
            reply.headers.emplace_back("Content-Security-Policy", "sandbox");
    if (request.header("if-none-match") == tag) {
        reply.status = 304;
        return reply;
    }
    TRY(const auto part, part_of(request.header("range"), stored.data_size));
    TRY(reply.data, node.weave().data(id));
    reply.data_length = reply.data->size();
    if (part) {
        reply.status = 206;
        reply.data_offset = part->offset;
        reply.data_length = part->length;
        reply.headers.emplace_back(
            "Content-Range", fmt::format("bytes {}-{}/{}", part->offset, part->offset + part->length - 1, reply.data->size()));
    }
    return reply;
}

}  // namespace

void add_gateway_routes(Router& router, Node& node)
{
    router.get("/info", "the network, its height and its newest block", [&node](const Request&) { return info(node); });
    for (const auto* pattern : {"/{id}", "/raw/{id}"})
        router.get(pattern, "an item's data", [&node](const Request& request) { return item(node, request); });
    router.stream("POST", "/tx", "stores a data item of any size",
        [&node](const Request&) -> Result<std::unique_ptr<Body>> { return std::make_unique<ItemBody>(node); });
}

}  // namespace altiplano::node::http
