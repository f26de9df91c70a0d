#include "units/ao_wire.hpp"

#include "base/base64url.hpp"
#include "units/assignment.hpp"
#include "units/errors.hpp"

#include <fmt/format.h>

namespace altiplano::units::ao {

namespace {

std::unexpected<Error> bad(std::string_view what)
{
    return fail(errors::bad_answer, fmt::format("the other unit's answer {}", what));
}

Result<Buffer> bytes_of(const JsonView& json, std::string_view name)
{
    const auto member = json.find(name);
    if (!member || member->is_null())
        return Buffer{};
    const auto text = member->string();
    if (!text)
        return bad(fmt::format("has a '{}' that is no text", name));
    return from_base64url(*text);
}

/// The type is not on the wire: the key's length says it, and where two have the same the signature decides (1.2).
std::vector<std::uint16_t> types_of(std::size_t owner_bytes, std::size_t signature_bytes)
{
    std::vector<std::uint16_t> types;
    for (const auto number :
        {item::arweave_signature, item::ed25519_signature, item::ethereum_signature, item::solana_signature}) {
        const auto* const type = item::signature_type(number);
        if (type && type->owner_bytes == owner_bytes && type->signature_bytes == signature_bytes)
            types.push_back(number);
    }
    return types;
}

Result<Buffer> optional_field(Bytes bytes, std::string_view what)
{
    Buffer field{static_cast<std::byte>(bytes.empty() ? 0 : 1)};
    if (!bytes.empty() && bytes.size() != 32)
        return bad(fmt::format("has a {} of {} bytes", what, bytes.size()));
    append(field, bytes);
    return field;
}

}  // namespace

Result<item::DataItem> item_of(const JsonView& json, const std::optional<Buffer>& data)
{
    const auto owner = json.find("owner");
    if (!owner)
        return bad("has an item without owner");
    TRY(const auto key, bytes_of(*owner, "key"));
    TRY(const auto signature, bytes_of(json, "signature"));
    TRY(const auto target, bytes_of(json, "target"));
    TRY(const auto anchor, bytes_of(json, "anchor"));
    TRY(const auto target_field, optional_field(target, "target"));
    TRY(const auto anchor_field, optional_field(anchor, "anchor"));
    item::Tags tags;
    if (const auto list = json.find("tags"))
        for (const auto& tag : list->elements()) {
            const auto name = tag.find("name") ? tag.find("name")->string() : std::nullopt;
            const auto value = tag.find("value") ? tag.find("value")->string() : std::nullopt;
            if (!name || !value)
                return bad("has a tag without name or value");
            tags.add(*name, *value);
        }
    const auto text = json.find("data") ? json.find("data")->string() : std::nullopt;
    const auto content = data ? *data : to_buffer(text.value_or(""));

    std::optional<Error> last;
    for (const auto type : types_of(key.size(), signature.size())) {
        Buffer wire{static_cast<std::byte>(type & 0xff), static_cast<std::byte>(type >> 8)};
        append(wire, signature);
        append(wire, key);
        append(wire, target_field);
        append(wire, anchor_field);
        const auto tag_bytes = item::encode_tags(tags);
        append_u64(wire, tags.size());
        append_u64(wire, tag_bytes.size());
        append(wire, tag_bytes);
        append(wire, content);
        TRY(auto item, item::DataItem::parse(std::move(wire), UINT64_MAX));
        const auto verified = item.verify();
        if (verified)
            return item;
        last = verified.error();
    }
    if (!last)
        return bad(fmt::format("has an item with a key of {} bytes and a signature of {}", key.size(), signature.size()));
    return std::unexpected(*last);
}

Result<LogEntry> entry_of(const JsonView& node, const std::function<Result<item::DataItem>(const ItemId&)>& fetch)
{
    const auto assignment_json = node.find("assignment");
    if (!assignment_json)
        return bad("has no assignment");
    TRY(auto assignment_item, item_of(*assignment_json));
    // Slot 0 has no Message tag in the original: it is of the process itself (2.3).
    TRY(auto assignment, read_assignment(std::move(assignment_item)));
    const auto message_json = node.find("message");
    if (message_json && !message_json->is_null()) {
        auto message = item_of(*message_json);
        if (message && message->id() == assignment.message)
            return LogEntry{.assignment = std::move(assignment), .message = *std::move(message)};
    }
    // Not on the wire, or damaged by it: data that is no text does not survive (3.5).
    TRY(auto message, fetch(assignment.message));
    if (message.id() != assignment.message)
        return bad(fmt::format("leads to the item {} instead of {}", message.id().text(), assignment.message.text()));
    TRY_OK(message.verify());
    return LogEntry{.assignment = std::move(assignment), .message = std::move(message)};
}

Result<SlotResult> result_of(const Slot& slot, std::string_view text)
{
    TRY(const auto json, JsonView::parse(text));
    if (json.kind() != JsonView::Kind::object)
        return bad("is no result");
    const auto error = json.find("Error");
    const bool failed = error && !error->is_null();
    JsonWriter output(JsonWriter::Text::guest);
    output.begin_object().member("ok", true).key("response").raw(json.raw()).end_object();
    return SlotResult{.slot = slot,
        .kind = failed ? SlotResult::Kind::error : SlotResult::Kind::result,
        .output = std::move(output).text(),
        .state_root = {}};
}

}  // namespace altiplano::units::ao
