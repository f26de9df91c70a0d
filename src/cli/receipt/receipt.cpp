#include "cli/receipt/receipt.hpp"

#include "base/base64url.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "cli/errors.hpp"

#include <fmt/format.h>

namespace altiplano::cli {

namespace {

constexpr std::string_view format_name = "altiplano receipt 1";
constexpr std::string_view seal = ",\"sha256\":\"";

std::unexpected<Error> changed(std::string what)
{
    return fail(errors::receipt_differs, std::move(what), "somebody or something changed the file: ask for the receipt again");
}

Result<weave::Block> read_block(const JsonView& json, std::uint64_t height, const BlockHash& previous)
{
    const auto text = [&](std::string_view name) { return json.find(name) ? json.find(name)->string().value_or("") : ""; };
    const auto timestamp = json.find("timestamp") ? json.find("timestamp")->integer() : std::nullopt;
    const auto hash = BlockHash::parse(text("hash"));
    const auto before = json.find("previous") ? BlockHash::parse(text("previous")) : Result<BlockHash>(previous);
    if (!timestamp || !hash || !before)
        return changed(fmt::format("block {} in the bundle is none", height));
    weave::Block block{.height = height, .hash = *hash, .previous = *before, .timestamp_ms = *timestamp, .items = {}};
    for (const auto& item : json.find("items") ? json.find("items")->elements() : std::vector<JsonView>{}) {
        const auto id = ItemId::parse(item.string().value_or(""));
        if (!id)
            return changed(fmt::format("block {} in the bundle names an item that is no id", height));
        block.items.push_back(*id);
    }
    return block;
}

Result<Receipt::Bundle> read_bundle(const JsonView& json)
{
    Receipt::Bundle bundle;
    BlockHash previous;
    for (const auto& one : json.find("blocks") ? json.find("blocks")->elements() : std::vector<JsonView>{}) {
        TRY(auto block, read_block(one, bundle.blocks.size(), previous));
        previous = block.hash;
        bundle.blocks.push_back(std::move(block));
    }
    for (const auto& [name, value] : json.find("items") ? json.find("items")->members() : decltype(json.members()){}) {
        const auto id = ItemId::parse(name);
        if (!id || value.kind() != JsonView::Kind::string)
            return changed(fmt::format("the bundle has an item named '{}'", name));
        bundle.items[*id] = value.string().value_or("");
    }
    for (const auto& one : json.find("elsewhere") ? json.find("elsewhere")->elements() : std::vector<JsonView>{}) {
        const auto id = ItemId::parse(one.string().value_or(""));
        if (!id)
            return changed("the bundle names an item elsewhere that is no id");
        bundle.elsewhere.insert(*id);
    }
    return bundle;
}

}  // namespace

std::string write_receipt(const Receipt& receipt)
{
    JsonWriter json;
    json.begin_object().member("format", format_name).key("facts").begin_object();
    for (const auto& [name, value] : receipt.facts)
        json.member(name, std::string_view(value));
    json.end_object().member("program", "altiplano 0.1.0").member("gateway", std::string_view(receipt.gateway));
    if (receipt.bundle) {
        json.key("bundle").begin_object().key("blocks").begin_array();
        for (const auto& block : receipt.bundle->blocks) {
            json.begin_object().member("hash", std::string_view(block.hash.text()));
            if (block.height == 0)
                json.member("previous", std::string_view(block.previous.text()));
            json.member("timestamp", block.timestamp_ms).key("items").begin_array();
            for (const auto& item : block.items)
                json.string(item.text());
            json.end_array().end_object();
        }
        json.end_array().key("items").begin_object();
        for (const auto& [id, wire] : receipt.bundle->items)
            json.member(id.text(), std::string_view(wire));
        json.end_object().key("elsewhere").begin_array();
        for (const auto& id : receipt.bundle->elsewhere)
            json.string(id.text());
        json.end_array().end_object();
    }
    json.end_object();
    auto text = std::move(json).text();
    text.pop_back();  // the brace: one member more
    const auto hash = sha256(as_bytes(text)).text();
    return text + std::string(seal) + hash + "\"}\n";
}

Result<Receipt> read_receipt(std::string_view file)
{
    const auto json = JsonView::parse(file);
    if (!json || json->kind() != JsonView::Kind::object)
        return changed("the file is no receipt" + (json ? "" : ": " + json.error().sentence));
    if (!json->find("format") || json->find("format")->string() != format_name)
        return changed(fmt::format("the file does not say that it is an '{}'", format_name));
    Receipt receipt;
    for (const auto& [name, value] : json->find("facts") ? json->find("facts")->members() : decltype(json->members()){})
        receipt.facts.emplace_back(name, value.string().value_or(""));
    receipt.gateway = json->find("gateway") ? json->find("gateway")->string().value_or("") : "";
    if (const auto bundle = json->find("bundle")) {
        TRY(receipt.bundle, read_bundle(*bundle));
    }
    const auto end = file.rfind(seal);
    const auto text = file.substr(0, std::min(end, file.size()));
    receipt.whole = end != file.npos && file.substr(end) == std::string(seal) + sha256(as_bytes(text)).text() + "\"}\n";
    return receipt;
}

}  // namespace altiplano::cli
