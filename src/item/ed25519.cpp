#include "item/ed25519.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "item/errors.hpp"
#include "item/openssl.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sodium.h>

namespace altiplano::item {

using namespace openssl;

namespace {

void prepare_sodium()
{
    static const bool done = sodium_init() >= 0;
    ENSURE(done, "libsodium finds a source of randomness where this program found one");
}

/// OpenSSL's rules are ours. libsodium's code takes half the time, and is stricter: it also refuses keys and points of small
/// order and keys that are not encoded in the one right way. Both compare the point that the equation without the cofactor gives
/// with the signature's first half, byte for byte, and refuse a second half that is no less than the order of the group. So what
/// libsodium accepts OpenSSL accepts as well, and of the rest OpenSSL decides.
bool verify(Bytes owner, Bytes signature, Bytes message)
{
    if (owner.size() != crypto_sign_PUBLICKEYBYTES || signature.size() != crypto_sign_BYTES)
        return false;
    prepare_sodium();
    if (crypto_sign_verify_detached(raw(signature), raw(message), message.size(), raw(owner)) == 0)
        return true;
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
    prepare_sodium();
    std::array<std::byte, crypto_sign_SECRETKEYBYTES> both;  // the seed, then the public key
    ENSURE(crypto_sign_seed_keypair(raw_to(public_key_), raw_to(both), raw(seed_)) == 0, "any 32 bytes are an Ed25519 seed");
    sodium_memzero(both.data(), both.size());
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
    std::array<std::byte, crypto_sign_SECRETKEYBYTES> both;
    std::ranges::copy(public_key_, std::ranges::copy(seed_, both.begin()).out);
    Buffer signature(crypto_sign_BYTES);
    ENSURE(crypto_sign_detached(raw_to(signature), nullptr, raw(message), message.size(), raw(both)) == 0,
        "an Ed25519 key signs any message");
    sodium_memzero(both.data(), both.size());
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
