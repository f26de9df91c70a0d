#include "item/signer.hpp"

#include "item/deep_hash.hpp"
#include "item/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::item {

namespace {

/// A header's wire (ANS-104) with room for the signature.
Result<Buffer> unsigned_wire(const Fields& fields, const SignatureType& type, Bytes owner)
{
    if (!fields.anchor.empty() && fields.anchor.size() != 32)
        return fail(errors::bad_field, fmt::format("an anchor has 32 bytes, not {}", fields.anchor.size()));
    Buffer wire;
    wire.push_back(static_cast<std::byte>(type.number));
    wire.push_back(static_cast<std::byte>(type.number >> 8));
    wire.resize(2 + type.signature_bytes);
    append(wire, owner);
    wire.push_back(fields.target ? std::byte{1} : std::byte{0});
    if (fields.target)
        append(wire, fields.target->bytes());
    wire.push_back(fields.anchor.empty() ? std::byte{0} : std::byte{1});
    append(wire, as_bytes(fields.anchor));
    const auto tags = encode_tags(fields.tags);
    append_u64(wire, fields.tags.size());
    append_u64(wire, tags.size());
    append(wire, tags);
    return wire;
}

}  // namespace

Result<Header> build_header(const Fields& fields, const Sha384& data_deep_hash, const Signer& signer)
{
    const auto& type = signer.type();
    TRY(auto wire, unsigned_wire(fields, type, signer.owner_key()));
    // The signature signs everything else, so the header is read once without it to learn what that is.
    TRY(const auto unsigned_header, Header::parse(wire, wire.size()));
    const auto signature = signer.sign(unsigned_header.message(data_deep_hash));
    ENSURE(signature.size() == type.signature_bytes, "a signer's signature has its type's length");
    std::ranges::copy(signature, wire.begin() + 2);
    return Header::parse(wire, wire.size());
}

Result<Header> join_header(const Fields& fields, const SignatureType& type, Bytes owner, Bytes signature)
{
    if (owner.size() != type.owner_bytes || signature.size() != type.signature_bytes)
        return fail(errors::bad_field,
            fmt::format("a key of {} bytes and a signature of {} are not of type {}", owner.size(), signature.size(), type.name));
    TRY(auto wire, unsigned_wire(fields, type, owner));
    std::ranges::copy(signature, wire.begin() + 2);
    return Header::parse(wire);
}

Result<DataItem> build(Fields fields, const Signer& signer)
{
    TRY(auto header, build_header(fields, deep_hash_blob(fields.data), signer));
    return join(std::move(header), std::move(fields.data));
}

}  // namespace altiplano::item
