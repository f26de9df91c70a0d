#include "item/data_item.hpp"

#include "item/deep_hash.hpp"
#include "item/errors.hpp"
#include "item/reader.hpp"
#include "item/transaction.hpp"

#include <array>
#include <fmt/format.h>

namespace altiplano::item {

Result<Header> Header::parse(Bytes wire, std::uint64_t tag_limit)
{
    Header header;
    Reader reader(wire);

    TRY(const auto type, reader.take(2, "signature type"));
    const auto number = static_cast<std::uint16_t>(static_cast<unsigned>(type[0]) | static_cast<unsigned>(type[1]) << 8);
    header.type_ = item::signature_type(number);
    if (!header.type_)
        return fail(errors::bad_signature_type, fmt::format("signature type {} is not one of ANS-104", number),
            "is this a data item at all?");

    TRY(const auto signature, reader.take(header.type_->signature_bytes, "signature"));
    TRY(const auto owner, reader.take(header.type_->owner_bytes, "owner"));
    TRY(const auto target, reader.take_optional("target"));
    TRY(const auto anchor, reader.take_optional("anchor"));
    TRY(const auto tag_count, reader.take(8, "number of tags"));
    TRY(const auto tag_size, reader.take(8, "number of tag bytes"));
    const auto tag_bytes = read_u64(tag_size);
    if (tag_bytes > tag_limit)
        return fail(errors::tag_bytes_over_limit,
            fmt::format("the item has {} tag bytes; at most {} are accepted", tag_bytes, tag_limit),
            "move long values into the item's data");
    const auto tags_at = reader.position();
    TRY(const auto tags, reader.take(tag_bytes, "tags"));
    TRY(header.tags_, decode_tags(tags, read_u64(tag_count)));

    header.wire_ = to_buffer(wire.first(reader.position()));
    header.owner_ = address_of(*header.type_, owner);
    header.id_ = ItemId(sha256(signature));
    if (!target.empty()) {
        TRY(header.target_, Digest::from_bytes(target));
    }
    header.anchor_size_ = anchor.size();
    header.anchor_at_ = tags_at - 16 - anchor.size();
    header.tags_at_ = tags_at;
    return header;
}

Result<Header> Header::parse_stored(Bytes stored)
{
    if (stored.size() >= 2 && stored[0] == std::byte{0} && stored[1] == std::byte{0})
        return join_layer1(to_buffer(stored));
    return parse(stored, UINT64_MAX);
}

Sha384 Header::message(const Sha384& data_deep_hash) const
{
    if (layer1_)
        return layer1_message();
    const Bytes target = target_ ? target_->bytes() : Bytes{};
    const std::array children{
        deep_hash_blob(as_bytes("dataitem")),
        deep_hash_blob(as_bytes("1")),
        deep_hash_blob(as_bytes(std::to_string(type_->number))),
        deep_hash_blob(owner_key()),
        deep_hash_blob(target),
        deep_hash_blob(anchor()),
        deep_hash_blob(tag_bytes()),
        data_deep_hash,
    };
    return deep_hash_list(children);
}

Result<void> Header::verify(const Sha384& data_deep_hash) const
{
    ENSURE(!layer1_ || layer1_->format == 2, "what signs its data as it is goes to verify_data");
    if (!type_->verify)
        return fail(errors::unsupported_signature,
            fmt::format("signatures of type {} ({}) are not verified here", type_->number, type_->name),
            "sign with an Arweave (RSA-PSS 4096), Ed25519, Ethereum or Solana key");
    if (!type_->verify(owner_key(), signature(), message(data_deep_hash)))
        return fail(errors::bad_signature,
            fmt::format("the {} signature of item {} does not fit its content and owner", type_->name, id_.text()),
            "the item was changed after it was signed, or signed by another key");
    return {};
}

Result<DataItem> DataItem::parse(Bytes wire, std::uint64_t tag_limit)
{
    TRY(auto header, Header::parse(wire, tag_limit));
    const auto data = wire.subspan(header.size());
    return join(std::move(header), to_buffer(data));
}

Result<void> DataItem::verify() const
{
    return header().layer1() ? verify_data(header(), data()) : header().verify(deep_hash_blob(data()));
}

Buffer DataItem::wire() const
{
    auto bytes = to_buffer(header().wire());
    append(bytes, data());
    return bytes;
}

DataItem join(Header header, Buffer data)
{
    DataItem item;
    item.whole_ = std::make_shared<const DataItem::Whole>(std::move(header), std::move(data));
    return item;
}

}  // namespace altiplano::item
