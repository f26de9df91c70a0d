#include "drive/documents.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "item/transaction_json.hpp"
#include "vm/errors.hpp"
#include "weave/errors.hpp"

#include <charconv>
#include <fmt/format.h>

namespace altiplano::drive {

namespace {

std::unexpected<Error> not_there(const Document& document, std::uint64_t height)
{
    return fail(vm::errors::file_not_found, fmt::format("there is no {} at height {}", document.name, height));
}

/// Ids and hashes are text views of a temporary: each is written before the next is made.
void write_id(JsonWriter& json, std::string_view name, const std::optional<ItemId>& id)
{
    json.key(name);
    if (id)
        json.begin_object().member("id", std::string_view(id->text())).end_object();
    else
        json.null();
}

/// As gateways write a transaction (`GET /tx/<id>`), and the address that WeaveDrive adds.
std::string transaction_json(const weave::StoredItem& item)
{
    JsonWriter json;
    json.begin_object();
    item::write_transaction(json, item.header, item.data_size);
    json.member("ownerAddress", std::string_view(item.header.owner().text())).end_object();
    return std::move(json).text();
}

void write_amount(JsonWriter& json, std::string_view name, const std::string& winston)
{
    auto ar = winston;
    if (ar.size() < 13)
        ar.insert(0, 13 - ar.size(), '0');
    ar.insert(ar.size() - 12, ".");
    json.key(name).begin_object().member("winston", std::string_view(winston)).member("ar", std::string_view(ar)).end_object();
}

/// The fields that npm:wao asks GraphQL for.
std::string graphql_json(const weave::StoredItem& item, const weave::Block& block)
{
    const auto& header = item.header;
    const auto* const layer1 = header.layer1();
    JsonWriter json;
    json.begin_object()
        .member("id", std::string_view(header.id().text()))
        .member("anchor", std::string_view(base64url(header.anchor())));
    json.key("data").begin_object().member("size", std::string_view(std::to_string(item.data_size))).end_object();
    json.member("signature", std::string_view(base64url(header.signature())))
        .member("recipient", std::string_view(header.target() ? header.target()->text() : ""));
    json.key("owner")
        .begin_object()
        .member("address", std::string_view(header.owner().text()))
        .member("key", std::string_view(base64url(header.owner_key())))
        .end_object();
    write_amount(json, "fee", layer1 ? layer1->reward.text() : "0");
    write_amount(json, "quantity", layer1 ? layer1->quantity.text() : "0");
    json.key("tags").begin_array();
    for (const auto& tag : header.tags())
        json.begin_object().member("name", std::string_view(tag.name)).member("value", std::string_view(tag.value)).end_object();
    json.end_array();
    write_id(json, "bundledIn", item.bundle);
    json.key("block")
        .begin_object()
        .member("id", std::string_view(block.hash.text()))
        .member("timestamp", static_cast<std::uint64_t>(block.timestamp_ms) / 1000)
        .member("height", block.height)
        .member("previous", std::string_view(block.height == 0 ? "" : block.previous.text()))
        .end_object()
        .end_object();
    return std::move(json).text();
}

std::string block_json(const weave::Block& block)
{
    JsonWriter json;
    json.begin_object()
        .member("height", block.height)
        .member("indep_hash", std::string_view(block.hash.text()))
        .member("hash", std::string_view(block.hash.text()))
        .member("previous_block", std::string_view(block.height == 0 ? "" : block.previous.text()))
        .member("timestamp", static_cast<std::uint64_t>(block.timestamp_ms) / 1000)
        .member("timestamp_ms", static_cast<std::uint64_t>(block.timestamp_ms));
    json.key("txs").begin_array();
    for (const auto& id : block.items)
        json.string(id.text());
    json.end_array().end_object();
    return std::move(json).text();
}

}  // namespace

std::optional<Document> document_of(std::string_view path)
{
    const auto under = [&](std::string_view folder) -> std::optional<std::string_view> {
        return path.starts_with(folder) ? std::optional(path.substr(folder.size())) : std::nullopt;
    };
    if (const auto id = under("tx/"); id && ItemId::parse(*id))
        return Document{Document::Kind::transaction, std::string(*id)};
    if (const auto id = under("tx2/"); id && ItemId::parse(*id))
        return Document{Document::Kind::graphql, std::string(*id)};
    if (const auto height = under("block/")) {
        // One way to write a number: no sign, no zeros before it.
        std::uint64_t number = 0;
        const auto [end, wrong] = std::from_chars(height->data(), height->data() + height->size(), number);
        if (wrong == std::errc() && end == height->data() + height->size() && std::to_string(number) == *height)
            return Document{Document::Kind::block, std::string(*height)};
    }
    return std::nullopt;
}

Result<std::string> read_document(weave::Weave& weave, const Reader& reader, const Document& document)
{
    if (document.kind == Document::Kind::block) {
        std::uint64_t height = 0;
        std::from_chars(document.name.data(), document.name.data() + document.name.size(), height);
        if (height > reader.height)
            return not_there(document, reader.height);
        TRY(const auto block, weave.block(height));
        return block_json(block);
    }
    TRY(const auto id, ItemId::parse(document.name));
    const auto item = weave.item(id);
    const bool unknown = !item && item.error().code == weave::errors::unknown_item;
    if (unknown || (item && item->height > reader.height))
        return not_there(document, reader.height);
    if (!item)
        return std::unexpected(item.error());
    if (document.kind == Document::Kind::transaction)
        return transaction_json(*item);
    TRY(const auto block, weave.block(item->height));
    return graphql_json(*item, block);
}

}  // namespace altiplano::drive
