#include "item/signer.hpp"

#include "base/base64url.hpp"
#include "item/deep_hash.hpp"
#include "item/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <openssl/evp.h>

namespace altiplano::item {

namespace {

struct Free {
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
    void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
};

const unsigned char* raw(Bytes bytes)
{
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::unique_ptr<EVP_PKEY, Free> private_key(Bytes seed)
{
    std::unique_ptr<EVP_PKEY, Free> key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(seed), seed.size()));
    ENSURE(key, "any 32 bytes are an Ed25519 seed");
    return key;
}

/// The value of a string member of a flat JSON object without escapes, which is all that a JWK of ours has.
std::optional<std::string_view> member(std::string_view json, std::string_view name)
{
    const auto key = fmt::format("\"{}\"", name);
    auto at = json.find(key);
    if (at == std::string_view::npos)
        return std::nullopt;
    at = json.find_first_not_of(" \t\r\n", at + key.size());
    if (at == std::string_view::npos || json[at] != ':')
        return std::nullopt;
    at = json.find_first_not_of(" \t\r\n", at + 1);
    if (at == std::string_view::npos || json[at] != '"')
        return std::nullopt;
    const auto end = json.find('"', at + 1);
    if (end == std::string_view::npos)
        return std::nullopt;
    return json.substr(at + 1, end - at - 1);
}

}  // namespace

Ed25519Signer::Ed25519Signer(const std::array<std::byte, 32>& seed)
    : seed_(seed)
    , public_key_{}
{
    const auto key = private_key(seed_);
    std::size_t length = public_key_.size();
    ENSURE(EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(public_key_.data()), &length) == 1
            && length == 32,
        "an Ed25519 key has a public half");
}

Ed25519Signer Ed25519Signer::generate(Random& random)
{
    std::array<std::byte, 32> seed{};
    random.fill(seed);
    return Ed25519Signer(seed);
}

std::string Ed25519Signer::jwk() const
{
    return fmt::format(
        "{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"{}\",\"x\":\"{}\"}}\n", base64url(seed_), base64url(public_key_));
}

Result<Ed25519Signer> Ed25519Signer::from_jwk(std::string_view text)
{
    if (member(text, "kty") != "OKP" || member(text, "crv") != "Ed25519")
        return fail(errors::bad_key, "this is not a JWK of an Ed25519 key", "`altiplano key new` makes one");
    const auto d = from_base64url(member(text, "d").value_or(""));
    if (!d || d->size() != 32)
        return fail(errors::bad_key, "the member \"d\" of the JWK is not 32 bytes of base64url");
    std::array<std::byte, 32> seed{};
    std::ranges::copy(*d, seed.begin());
    Ed25519Signer signer(seed);
    if (member(text, "x") != base64url(signer.owner_key()))
        return fail(errors::bad_key, "the JWK's public half \"x\" does not belong to its \"d\"");
    return signer;
}

Buffer Ed25519Signer::sign(const Sha384& message) const
{
    const auto key = private_key(seed_);
    const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
    Buffer signature(64);
    std::size_t length = signature.size();
    ENSURE(context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1
            && EVP_DigestSign(
                   context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length, raw(message), message.size())
                == 1,
        "an Ed25519 key signs any message");
    return signature;
}

Result<Header> build_header(const Fields& fields, const Sha384& data_deep_hash, const Signer& signer)
{
    if (!fields.anchor.empty() && fields.anchor.size() != 32)
        return fail(errors::bad_field, fmt::format("an anchor has 32 bytes, not {}", fields.anchor.size()));
    const auto& type = signer.type();

    Buffer wire;
    wire.push_back(static_cast<std::byte>(type.number));
    wire.push_back(static_cast<std::byte>(type.number >> 8));
    wire.resize(2 + type.signature_bytes);
    append(wire, signer.owner_key());
    wire.push_back(fields.target ? std::byte{1} : std::byte{0});
    if (fields.target)
        append(wire, fields.target->bytes());
    wire.push_back(fields.anchor.empty() ? std::byte{0} : std::byte{1});
    append(wire, as_bytes(fields.anchor));
    const auto tags = encode_tags(fields.tags);
    append_u64(wire, fields.tags.size());
    append_u64(wire, tags.size());
    append(wire, tags);

    // The signature signs everything else, so the header is read once without it to learn what that is.
    TRY(const auto unsigned_header, Header::parse(wire, tags.size()));
    const auto signature = signer.sign(unsigned_header.message(data_deep_hash));
    ENSURE(signature.size() == type.signature_bytes, "a signer's signature has its type's length");
    std::ranges::copy(signature, wire.begin() + 2);
    return Header::parse(wire, tags.size());
}

Result<DataItem> build(Fields fields, const Signer& signer)
{
    TRY(auto header, build_header(fields, deep_hash_blob(fields.data), signer));
    return join(std::move(header), std::move(fields.data));
}

}  // namespace altiplano::item
