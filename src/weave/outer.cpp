#include "weave/outer.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "item/errors.hpp"
#include "weave/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace altiplano::weave {

namespace {

constexpr std::uint64_t header_answer_bytes_max = std::uint64_t{32} << 20;  // a transaction with its data inside, in base64url
constexpr std::size_t missing_max = 10'000;

std::unexpected<Error> bad_answer(const std::string& gateway, const ItemId& id, std::string_view what)
{
    return fail(errors::bad_answer, fmt::format("what {} gives as {} cannot be verified: {}", gateway, id.text(), what),
        "nothing of it was stored");
}

/// A text in base64url, or null, or nothing: all that a gateway may say of an absent field.
Result<Buffer> bytes_in(const std::optional<JsonView>& value)
{
    return from_base64url(value ? value->string().value_or("") : "");
}

/// The header that these fields were signed in, under each signature type that the key may be of.
Result<std::vector<item::Header>> headers_of(Bytes owner, Bytes signature, Bytes target, Bytes anchor, const item::Tags& tags)
{
    item::Fields fields{.anchor = to_string(anchor), .tags = tags};
    if (!target.empty()) {
        TRY(fields.target, Digest::from_bytes(target));
    }
    std::vector<item::Header> headers;
    for (const auto number :
        {item::arweave_signature, item::ed25519_signature, item::ethereum_signature, item::solana_signature}) {
        const auto* const type = item::signature_type(number);
        if (type->owner_bytes != owner.size() || type->signature_bytes != signature.size())
            continue;
        TRY(auto header, item::join_header(fields, *type, owner, signature));
        headers.push_back(std::move(header));
    }
    return headers;
}

/// A data item as GraphQL shows it. @param node  {"anchor","signature","recipient","owner":{"key"},"tags"}
Result<std::vector<item::Header>> headers_in_graphql(const JsonView& node)
{
    const auto owner_view = node.find("owner");
    TRY(const auto owner, bytes_in(owner_view ? owner_view->find("key") : std::nullopt));
    TRY(const auto signature, bytes_in(node.find("signature")));
    TRY(const auto target, bytes_in(node.find("recipient")));
    TRY(const auto anchor, bytes_in(node.find("anchor")));
    item::Tags tags;
    const auto list = node.find("tags");
    for (const auto& tag : list ? list->elements() : std::vector<JsonView>{}) {
        const auto text = [&](std::string_view name) {
            const auto member = tag.find(name);
            return member ? member->string().value_or("") : std::string();
        };
        tags.add(text("name"), text("value"));
    }
    return headers_of(owner, signature, target, anchor, tags);
}

/// A data item as our own /tx/{id} shows it: a transaction's fields.
Result<std::vector<item::Header>> headers_in_transaction(const JsonView& json)
{
    TRY(const auto owner, bytes_in(json.find("owner")));
    TRY(const auto signature, bytes_in(json.find("signature")));
    TRY(const auto target, bytes_in(json.find("target")));
    TRY(const auto anchor, bytes_in(json.find("last_tx")));
    item::Tags tags;
    const auto list = json.find("tags");
    for (const auto& tag : list ? list->elements() : std::vector<JsonView>{}) {
        TRY(const auto name, bytes_in(tag.find("name")));
        TRY(const auto value, bytes_in(tag.find("value")));
        tags.add(to_string(name), to_string(value));
    }
    return headers_of(owner, signature, target, anchor, tags);
}

}  // namespace

std::shared_ptr<std::mutex> Outer::alone_with(const ItemId& id)
{
    const std::lock_guard lock(lock_);
    std::erase_if(under_way_, [](const auto& entry) { return entry.second.expired(); });
    auto& slot = under_way_[id];
    auto one = slot.lock();
    if (!one) {
        one = std::make_shared<std::mutex>();
        slot = one;
    }
    return one;
}

Result<void> Outer::fetch(const ItemId& id)
{
    // Two readers of one item fetch it once.
    const auto mutex = alone_with(id);
    const std::lock_guard alone(*mutex);
    if (weave_.has(id))
        return {};
    const auto not_here = fail(
        errors::unknown_item, fmt::format("the item {} is neither in this weave nor at the gateways that it asks", id.text()));
    {
        const std::lock_guard lock(lock_);
        const auto known = missing_.find(id);
        if (known != missing_.end() && clock_.wall_ms() - known->second < options_.forget_ms)
            return not_here;
    }
    // The first that has it and can be believed; else the first thing that was wrong.
    std::optional<Error> wrong;
    for (const auto& gateway : options_.gateways) {
        const auto fetched = fetch_from(gateway, id);
        if (fetched)
            return {};
        if (fetched.error().code != errors::unknown_item && !wrong)
            wrong = fetched.error();
    }
    if (wrong)
        return std::unexpected(*wrong);
    const std::lock_guard lock(lock_);
    if (missing_.size() >= missing_max)
        missing_.clear();
    missing_[id] = clock_.wall_ms();
    return not_here;
}

Result<void> Outer::fetch_from(const std::string& gateway, const ItemId& id)
{
    TRY(const auto answer,
        http_.send({.url = net::join(gateway, "/tx/" + id.text()), .answer_bytes_max = header_answer_bytes_max}));
    if (answer.status == 200) {
        const auto json = JsonView::parse(answer.body);
        if (!json)
            return bad_answer(gateway, id, json.error().sentence);
        if (!json->find("data_item")) {
            auto transaction = item::read_transaction(answer.body);
            if (!transaction)
                return bad_answer(gateway, id, transaction.error().sentence);
            return fetch_transaction(gateway, id, transaction->header, std::move(transaction->data));
        }
        const auto headers = headers_in_transaction(*json);
        return headers ? fetch_item(gateway, id, *headers) : bad_answer(gateway, id, headers.error().sentence);
    }
    // Most gateways have data items in GraphQL alone.
    TRY(const auto headers, ask_graphql(gateway, id));
    if (!headers)
        return fail(errors::unknown_item, fmt::format("{} does not have {}", gateway, id.text()));
    return fetch_item(gateway, id, *headers);
}

Result<std::optional<std::vector<item::Header>>> Outer::ask_graphql(const std::string& gateway, const ItemId& id)
{
    JsonWriter query;
    query.begin_object()
        .member("query",
            std::string_view(fmt::format("query {{ transactions(ids: [\"{}\"]) {{ edges {{ node {{ id anchor signature recipient "
                                         "owner {{ key }} tags {{ name value }} }} }} }} }}",
                id.text())))
        .end_object();
    TRY(const auto answer,
        http_.send({.method = "POST",
            .url = net::join(gateway, "/graphql"),
            .headers = {{"Content-Type", "application/json"}},
            .body = as_bytes(query.text()),
            .answer_bytes_max = header_answer_bytes_max}));
    const auto json = JsonView::parse(answer.body);
    auto found = json ? json->find("data") : std::nullopt;
    for (const auto* const name : {"transactions", "edges"})
        found = found ? found->find(name) : std::nullopt;
    const auto edges = found ? found->elements() : std::vector<JsonView>{};
    const auto node = edges.empty() ? std::nullopt : edges.front().find("node");
    if (answer.status != 200 || !node)
        return std::optional<std::vector<item::Header>>{};
    auto headers = headers_in_graphql(*node);
    if (!headers)
        return bad_answer(gateway, id, headers.error().sentence);
    return std::optional(*std::move(headers));
}

Result<void> Outer::download(
    const std::string& gateway, const ItemId& id, std::uint64_t size_max, const std::function<Result<void>(Bytes)>& take)
{
    TRY(const auto answer,
        http_.download({.url = net::join(gateway, "/raw/" + id.text()), .answer_bytes_max = size_max, .total_ms_max = 0}, take));
    if (answer.status != 200)
        return fail(errors::unknown_item, fmt::format("{} has no data of {}: status {}", gateway, id.text(), answer.status));
    return {};
}

/// @param headers  one for each signature type that its key may be of, since gateways do not say which
Result<void> Outer::fetch_item(const std::string& gateway, const ItemId& id, const std::vector<item::Header>& headers)
{
    std::string_view wrong = "its signature is missing or another item's";
    for (const auto& header : headers) {
        if (header.id() != id)
            continue;
        Upload upload(weave_.blobs());
        TRY_OK(upload.append(header.wire()));
        TRY_OK(download(gateway, id, options_.data_bytes_max, [&](Bytes piece) { return upload.append(piece); }));
        auto item = upload.finish();
        if (item) {
            TRY_OK(weave::take(weave_, *std::move(item)));
            return {};
        }
        if (!item.error().code.starts_with("item."))
            return std::unexpected(item.error());
        wrong = "its signature does not fit its fields and data";
    }
    return bad_answer(gateway, id, wrong);
}

Result<void> Outer::fetch_transaction(const std::string& gateway, const ItemId& id, const item::Header& header, Buffer data)
{
    const auto& layer1 = *header.layer1();
    if (header.id() != id)
        return bad_answer(gateway, id, "it is another transaction");
    if (layer1.data_size > options_.data_bytes_max)
        return fail(errors::over_limit,
            fmt::format("{} has {} bytes of data; at most {} are fetched", id.text(), layer1.data_size, options_.data_bytes_max));
    // Nothing of what comes is kept before it is known to be what was signed.
    NewItem item{.header = header, .data = std::move(data), .data_size = layer1.data_size};
    std::vector<item::TreeBuilder> trees;
    for (const auto cut : {item::Cut::balanced, item::Cut::even})
        trees.emplace_back(layer1.data_size, cut);
    // Format 1 signs its data as it is, so it is held whole; more than fits inside a transaction is none.
    if (layer1.format == 1 && layer1.data_size > item::inline_data_bytes_max)
        return bad_answer(gateway, id, "a transaction of format 1 has less data");
    const bool is_large = layer1.format == 2 && layer1.data_size >= store::Blobs::size_min;
    std::unique_ptr<store::Blobs::Writer> large;
    if (is_large) {
        TRY(large, weave_.blobs().write());
    }
    std::uint64_t came = 0;
    const auto keep = [&](Bytes piece) -> Result<void> {
        came += piece.size();
        if (came > layer1.data_size)
            return bad_answer(gateway, id, fmt::format("{} bytes were signed, more came", layer1.data_size));
        for (auto& tree : trees)
            tree.update(piece);
        if (is_large)
            return large->append(piece);
        append(item.data, piece);
        return {};
    };
    if (item.data.size() == layer1.data_size) {
        const auto inside = std::exchange(item.data, {});
        TRY_OK(keep(inside));
    } else {
        item.data.clear();
        TRY_OK(download(gateway, id, layer1.data_size, keep));
    }
    if (came != layer1.data_size)
        return bad_answer(gateway, id, fmt::format("{} bytes were signed, {} came", layer1.data_size, came));

    std::vector<item::Chunk> chunks;
    if (layer1.format == 1) {
        if (const auto verified = item::verify_data(header, item.data); !verified)
            return bad_answer(gateway, id, verified.error().sentence);
        TRY(item, stage_own(item::join(header, std::move(item.data)), weave_.blobs()));
    } else {
        if (const auto verified = header.verify({}); !verified)
            return bad_answer(gateway, id, verified.error().sentence);
        bool right = layer1.data_size == 0;
        for (auto& tree : trees) {
            auto built = tree.finish();
            if (right || !layer1.data_root || built.root != *layer1.data_root)
                continue;
            right = true;
            chunks = std::move(built.chunks);
        }
        if (!right)
            return bad_answer(gateway, id, "its data has another root, or was cut in a way of its own");
    }
    if (is_large) {
        TRY(item.blob, large->finish());
    }
    TRY_OK(transactions_.take_in(std::move(item), chunks));
    return {};
}

}  // namespace altiplano::weave
