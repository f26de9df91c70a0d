#include "item/transaction.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "item/data_root.hpp"
#include "item/deep_hash.hpp"
#include "item/errors.hpp"
#include "item/reader.hpp"
#include "item/rsa.hpp"

#include <array>
#include <charconv>
#include <fmt/format.h>

namespace altiplano::item {

namespace {

// What `Header::wire` of a transaction is: a signature type that no data item has, then signature, owner and target where a data
// item has them, then what only a transaction has, then the tags as a data item has them.
Buffer encode(
    Bytes signature, Bytes owner, const std::optional<Digest>& target, const Layer1& layer1, Bytes anchor, const Tags& tags)
{
    const auto append_short = [](Buffer& to, Bytes bytes) {
        to.push_back(static_cast<std::byte>(bytes.size()));
        append(to, bytes);
    };
    const auto append_optional = [](Buffer& to, const std::optional<Digest>& digest) {
        to.push_back(std::byte{digest ? std::uint8_t{1} : std::uint8_t{0}});
        if (digest)
            append(to, digest->bytes());
    };
    Buffer wire(2);
    append(wire, signature);
    append(wire, owner);
    append_optional(wire, target);
    wire.push_back(static_cast<std::byte>(layer1.format));
    append_short(wire, as_bytes(layer1.quantity.text()));
    append_short(wire, as_bytes(layer1.reward.text()));
    append_u64(wire, layer1.data_size);
    append_optional(wire, layer1.data_root);
    append_short(wire, anchor);
    const auto encoded = encode_tags(tags);
    append_u64(wire, tags.size());
    append_u64(wire, encoded.size());
    append(wire, encoded);
    return wire;
}

Result<Bytes> take_short(Reader& reader, std::string_view what)
{
    TRY(const auto size, reader.take(1, what));
    return reader.take(static_cast<std::uint64_t>(size[0]), what);
}

Result<std::optional<Digest>> take_digest(Reader& reader, std::string_view what)
{
    TRY(const auto bytes, reader.take_optional(what));
    if (bytes.empty())
        return std::optional<Digest>{};
    TRY(const auto digest, Digest::from_bytes(bytes));
    return std::optional(digest);
}

std::unexpected<Error> bad(std::string what, std::string hint = {})
{
    return fail(errors::bad_transaction, std::move(what), std::move(hint));
}

Result<std::string> text_in(const JsonView& json, std::string_view name)
{
    const auto value = json.find(name);
    if (!value || value->is_null())
        return std::string();
    const auto text = value->text();
    if (!text)
        return bad(fmt::format("the member \"{}\" of the transaction is no text", name));
    return *text;
}

/// A member in base64url of one of two lengths, or of any when both are 0.
Result<Buffer> bytes_in(const JsonView& json, std::string_view name, std::size_t one = 0, std::size_t other = 0)
{
    TRY(const auto text, text_in(json, name));
    auto bytes = from_base64url(text);
    if (!bytes)
        return bad(fmt::format("the member \"{}\" of the transaction is not base64url: {}", name, bytes.error().sentence));
    if (one + other > 0 && bytes->size() != one && bytes->size() != other)
        return bad(fmt::format("the member \"{}\" of the transaction has {} bytes, not {}", name, bytes->size(), one));
    return *std::move(bytes);
}

Result<std::uint64_t> number_in(const JsonView& json, std::string_view name)
{
    TRY(const auto text, text_in(json, name));
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (!text.empty()
        && (code != std::errc{} || end != text.data() + text.size() || number > INT64_MAX || (text.size() > 1 && text[0] == '0')))
        return bad(fmt::format("the member \"{}\" of the transaction is '{}', which is no size", name, text.substr(0, 64)));
    return number;
}

Result<Winston> amount_in(const JsonView& json, std::string_view name)
{
    TRY(const auto text, text_in(json, name));
    if (text.empty())
        return Winston{};
    auto amount = Winston::parse(text);
    if (!amount)
        return fail_while(fmt::format("the member \"{}\" of the transaction", name), amount.error());
    return *amount;
}

Result<Tags> tags_in(const JsonView& json)
{
    Tags tags;
    std::size_t bytes = 0;
    const auto list = json.find("tags");
    for (const auto& tag : list ? list->elements() : std::vector<JsonView>{}) {
        TRY(const auto name, bytes_in(tag, "name"));
        TRY(const auto value, bytes_in(tag, "value"));
        bytes += name.size() + value.size();
        if (bytes > transaction_tag_bytes_max || tags.size() == transaction_tags_max)
            return fail(errors::tag_bytes_over_limit,
                fmt::format("a transaction has at most {} tags with {} bytes of names and values", transaction_tags_max,
                    transaction_tag_bytes_max),
                "post a data item, which takes more, or move long values into the data");
        tags.add(to_string(name), to_string(value));
    }
    return tags;
}

Result<Digest> digest_of(Bytes bytes)
{
    return Digest::from_bytes(bytes);
}

/// What format 1 signs: all fields one after the other, tags and data too.
Buffer message_1(const Header& header, Bytes data)
{
    const auto& layer1 = *header.layer1();
    Buffer message = to_buffer(header.owner_key());
    if (header.target())
        append(message, header.target()->bytes());
    append(message, data);
    append(message, as_bytes(layer1.quantity.text()));
    append(message, as_bytes(layer1.reward.text()));
    append(message, header.anchor());
    for (const auto& tag : header.tags()) {
        append(message, as_bytes(tag.name));
        append(message, as_bytes(tag.value));
    }
    return message;
}

}  // namespace

Result<Header> join_layer1(Buffer encoded)
{
    Header header;
    Reader reader(encoded);
    header.type_ = item::signature_type(arweave_signature);
    TRY(const auto type, reader.take(2, "signature type"));
    if (type[0] != std::byte{0} || type[1] != std::byte{0})
        return fail(errors::bad_signature_type, "these bytes are no transaction");
    TRY(const auto signature, reader.take(header.type_->signature_bytes, "signature"));
    TRY(const auto owner, reader.take(header.type_->owner_bytes, "owner"));
    TRY(header.target_, take_digest(reader, "target"));
    Layer1 layer1;
    TRY(const auto format, reader.take(1, "format"));
    layer1.format = static_cast<unsigned>(format[0]);
    TRY(const auto quantity, take_short(reader, "quantity"));
    TRY(layer1.quantity, Winston::parse(as_text(quantity)));
    TRY(const auto reward, take_short(reader, "reward"));
    TRY(layer1.reward, Winston::parse(as_text(reward)));
    TRY(const auto data_size, reader.take(8, "data size"));
    layer1.data_size = read_u64(data_size);
    TRY(layer1.data_root, take_digest(reader, "data root"));
    TRY(const auto anchor, take_short(reader, "anchor"));
    header.anchor_size_ = anchor.size();
    header.anchor_at_ = reader.position() - anchor.size();
    TRY(const auto tag_count, reader.take(8, "number of tags"));
    TRY(const auto tag_size, reader.take(8, "number of tag bytes"));
    header.tags_at_ = reader.position();
    TRY(const auto tags, reader.take(read_u64(tag_size), "tags"));
    TRY(header.tags_, decode_tags(tags, read_u64(tag_count)));
    header.layer1_ = layer1;
    header.owner_ = address_of(*header.type_, owner);
    header.id_ = ItemId(sha256(signature));
    encoded.resize(reader.position());
    header.wire_ = std::move(encoded);
    return header;
}

Sha384 Header::layer1_message() const
{
    std::vector<Sha384> tags;
    for (const auto& tag : tags_)
        tags.push_back(deep_hash_list(std::array{deep_hash_blob(as_bytes(tag.name)), deep_hash_blob(as_bytes(tag.value))}));
    const auto digest = [](const std::optional<Digest>& value) { return deep_hash_blob(value ? value->bytes() : Bytes{}); };
    return deep_hash_list(std::array{
        deep_hash_blob(as_bytes(std::to_string(layer1_->format))),
        deep_hash_blob(owner_key()),
        digest(target_),
        deep_hash_blob(as_bytes(layer1_->quantity.text())),
        deep_hash_blob(as_bytes(layer1_->reward.text())),
        deep_hash_blob(anchor()),
        deep_hash_list(tags),
        deep_hash_blob(as_bytes(std::to_string(layer1_->data_size))),
        digest(layer1_->data_root),
    });
}

Result<PostedTransaction> read_transaction(std::string_view text)
{
    auto json = JsonView::parse(text);
    if (!json)
        return bad(json.error().sentence, "a transaction is the JSON that arweave-js makes");
    if (json->kind() != JsonView::Kind::object)
        return bad("a transaction is a JSON object");
    TRY(const auto format, number_in(*json, "format"));
    TRY(const auto denomination, number_in(*json, "denomination"));
    if (format > 2 || denomination > 1)
        return bad(
            fmt::format("transactions of format {} and denomination {} are not read here", format, denomination), "use format 2");

    Layer1 layer1{.format = format == 2 ? 2U : 1U, .quantity = {}, .reward = {}, .data_size = 0, .data_root = {}};
    TRY(const auto signature, bytes_in(*json, "signature", 512));
    TRY(const auto owner, bytes_in(*json, "owner", 512));
    TRY(const auto id, bytes_in(*json, "id", 32));
    TRY(const auto target_bytes, bytes_in(*json, "target", 32, 0));
    TRY(const auto anchor, bytes_in(*json, "last_tx"));
    TRY(auto data, bytes_in(*json, "data"));
    TRY(const auto root, bytes_in(*json, "data_root", 32, 0));
    TRY(layer1.data_size, number_in(*json, "data_size"));
    TRY(layer1.quantity, amount_in(*json, "quantity"));
    TRY(layer1.reward, amount_in(*json, "reward"));
    TRY(const auto tags, tags_in(*json));

    if (!equal(id, sha256(signature).bytes()))
        return bad("the id of the transaction is not the SHA-256 of its signature");
    if (!anchor.empty() && anchor.size() != 32 && anchor.size() != 48)
        return bad(fmt::format("last_tx has {} bytes; a transaction's id has 32, a block's 48 or 32", anchor.size()),
            "GET /tx_anchor gives one");
    std::optional<Digest> target;
    if (!target_bytes.empty()) {
        TRY(target, digest_of(target_bytes));
    }
    if (data.size() > inline_data_bytes_max)
        return bad(fmt::format("a transaction carries at most {} bytes of data itself, this one has {}", inline_data_bytes_max,
                       data.size()),
            "upload larger data in chunks");
    if (layer1.format == 1) {
        if (layer1.data_size != 0 && layer1.data_size != data.size())
            return fail(errors::bad_data_root,
                fmt::format("the transaction says {} bytes of data and has {}", layer1.data_size, data.size()));
        layer1.data_size = data.size();
    } else {
        if (layer1.data_size > 0 ? root.size() != 32 : !root.empty())
            return fail(errors::bad_data_root,
                fmt::format("a transaction with {} bytes of data has a data root of {} bytes", layer1.data_size, root.size()),
                "data has a root of 32 bytes, no data has none");
        if (!root.empty()) {
            TRY(layer1.data_root, digest_of(root));
        }
        if (!data.empty() && data.size() != layer1.data_size)
            return fail(errors::bad_data_root,
                fmt::format("the transaction signs {} bytes of data and has {}", layer1.data_size, data.size()));
    }
    TRY(auto header, join_layer1(encode(signature, owner, target, layer1, anchor, tags)));
    return PostedTransaction{.header = std::move(header), .data = std::move(data)};
}

Result<Header> build_transaction(const TransactionFields& fields, const Signer& signer)
{
    if (signer.type().number != arweave_signature)
        return fail(errors::bad_field, fmt::format("a transaction is signed by an Arweave key, not by {}", signer.type().name));
    if ((fields.data_size > 0) != fields.data_root.has_value())
        return fail(errors::bad_field, "data has a root, no data has none");
    const Layer1 layer1{.format = 2,
        .quantity = fields.quantity,
        .reward = fields.reward,
        .data_size = fields.data_size,
        .data_root = fields.data_root};
    // What is signed follows from the fields alone, so that a header without a signature gives it.
    const Buffer none(signer.type().signature_bytes);
    TRY(const auto draft, join_layer1(encode(none, signer.owner_key(), fields.target, layer1, fields.anchor, fields.tags)));
    const auto signature = signer.sign(draft.message({}));
    return join_layer1(encode(signature, signer.owner_key(), fields.target, layer1, fields.anchor, fields.tags));
}

Result<void> verify_data(const Header& transaction, Bytes data)
{
    const auto* const layer1 = transaction.layer1();
    ENSURE(layer1, "only transactions sign a data root");
    if (data.size() != layer1->data_size)
        return fail(errors::bad_data_root,
            fmt::format(
                "transaction {} signs {} bytes of data, there are {}", transaction.id().text(), layer1->data_size, data.size()));
    if (layer1->format == 1) {
        if (!verify_rsa_of(transaction.owner_key(), transaction.signature(), message_1(transaction, data)))
            return fail(errors::bad_signature,
                fmt::format("the signature of transaction {} does not fit its content and owner", transaction.id().text()),
                "the transaction was changed after it was signed, or signed by another key");
        return {};
    }
    TRY_OK(transaction.verify({}));
    if (data.empty())
        return {};
    for (const auto cut : {Cut::balanced, Cut::even})
        if (data_tree(data, cut).root == *layer1->data_root)
            return {};
    return fail(errors::bad_data_root,
        fmt::format("the data of transaction {} does not have the root that was signed", transaction.id().text()),
        "data that was cut in another way is uploaded in chunks");
}

}  // namespace altiplano::item
