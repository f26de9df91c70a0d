#include "item/ed25519.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "item/errors.hpp"
#include "item/openssl.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::item {

using namespace openssl;

namespace {

Owned<EVP_PKEY> private_key(Bytes seed)
{
    Owned<EVP_PKEY> key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(seed), seed.size()));
    ENSURE(key, "any 32 bytes are an Ed25519 seed");
    return key;
}

/// The key that this thread signed with last: making it costs as much as signing, and a node has one of each kind.
EVP_PKEY* latest_key(const std::array<std::byte, 32>& seed)
{
    struct Latest {
        std::array<std::byte, 32> seed;
        Owned<EVP_PKEY> key;
    };
    thread_local Latest latest;
    if (!latest.key || latest.seed != seed)
        latest = {seed, private_key(seed)};
    return latest.key.get();
}

bool verify(Bytes owner, Bytes signature, Bytes message)
{
    const Owned<EVP_PKEY> key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(owner), owner.size()));
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    return key && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1
        && EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

}  // namespace

bool verify_ed25519(Bytes owner, Bytes signature, const Sha384& message)
{
    return verify(owner, signature, message);
}

bool verify_solana(Bytes owner, Bytes signature, const Sha384& message)
{
    return verify(owner, signature, as_bytes(hex(message)));
}

Ed25519Signer::Ed25519Signer(const std::array<std::byte, 32>& seed)
    : seed_(seed)
    , public_key_{}
{
    const auto key = private_key(seed_);
    std::size_t length = public_key_.size();
    ENSURE(EVP_PKEY_get_raw_public_key(key.get(), raw_to(public_key_), &length) == 1 && length == 32,
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
    const auto json = JsonView::parse(text);
    const auto member = [&](std::string_view name) {
        const auto value = json ? json->find(name) : std::nullopt;
        return value ? value->string().value_or("") : std::string();
    };
    if (member("kty") != "OKP" || member("crv") != "Ed25519")
        return fail(errors::bad_key, "this is not a JWK of an Ed25519 key", "`altiplano key` makes one");
    const auto d = from_base64url(member("d"));
    if (!d || d->size() != 32)
        return fail(errors::bad_key, "the member \"d\" of the JWK is not 32 bytes of base64url");
    std::array<std::byte, 32> seed{};
    std::ranges::copy(*d, seed.begin());
    Ed25519Signer signer(seed);
    if (member("x") != base64url(signer.owner_key()))
        return fail(errors::bad_key, "the JWK's public half \"x\" does not belong to its \"d\"");
    return signer;
}

Buffer Ed25519Signer::sign_bytes(Bytes message) const
{
    auto* const key = latest_key(seed_);
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    Buffer signature(64);
    std::size_t length = signature.size();
    ENSURE(context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) == 1
            && EVP_DigestSign(context.get(), raw_to(signature), &length, raw(message), message.size()) == 1,
        "an Ed25519 key signs any message");
    return signature;
}

Buffer Ed25519Signer::sign(const Sha384& message) const
{
    return sign_bytes(message);
}

Buffer SolanaSigner::sign(const Sha384& message) const
{
    return sign_bytes(as_bytes(hex(message)));
}

}  // namespace altiplano::item
