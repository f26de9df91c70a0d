#include "item/ethereum.hpp"

#include "base/base64url.hpp"
#include "item/errors.hpp"
#include "item/keccak.hpp"
#include "item/openssl.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <secp256k1.h>
#include <secp256k1_recovery.h>

namespace altiplano::item {

using openssl::raw;
using openssl::raw_to;

namespace {

/// One for all threads: libsecp256k1 only reads it once it is made.
const secp256k1_context* context()
{
    static const auto* const made = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
    return made;
}

/// What a wallet signs when it is asked for a personal message (EIP-191).
Digest personal(const Sha384& message)
{
    auto bytes = to_buffer(as_bytes(fmt::format("\x19"
                                                "Ethereum Signed Message:\n{}",
        message.size())));
    append(bytes, message);
    return keccak256(bytes);
}

std::array<std::byte, 65> serialize(const secp256k1_pubkey& key)
{
    std::array<std::byte, 65> bytes{};
    std::size_t size = bytes.size();
    secp256k1_ec_pubkey_serialize(context(), raw_to(bytes), &size, &key, SECP256K1_EC_UNCOMPRESSED);
    return bytes;
}

}  // namespace

bool verify_ethereum(Bytes owner, Bytes signature, const Sha384& message)
{
    const auto v = std::to_integer<int>(signature[64]);
    secp256k1_ecdsa_recoverable_signature recoverable;
    if ((v != 27 && v != 28)
        || secp256k1_ecdsa_recoverable_signature_parse_compact(context(), &recoverable, raw(signature.first(64)), v - 27) != 1)
        return false;
    secp256k1_ecdsa_signature plain;
    secp256k1_ecdsa_recoverable_signature_convert(context(), &plain, &recoverable);
    if (secp256k1_ecdsa_signature_normalize(context(), nullptr, &plain) == 1)
        return false;
    secp256k1_pubkey key;
    return secp256k1_ecdsa_recover(context(), &key, &recoverable, raw(personal(message).bytes())) == 1
        && std::ranges::equal(serialize(key), owner);
}

std::string ethereum_address(Bytes owner)
{
    const auto hash = keccak256(owner.subspan(1));
    auto digits = altiplano::hex(hash.bytes().last(20));
    const auto check = keccak256(as_bytes(digits));
    for (std::size_t i = 0; i < digits.size(); ++i) {
        const auto nibble = std::to_integer<unsigned>(check.array()[i / 2]) >> (i % 2 == 0 ? 4U : 0U) & 15U;
        if (nibble >= 8)
            digits[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(digits[i])));
    }
    return "0x" + digits;
}

Result<EthereumSigner> EthereumSigner::from_secret(const std::array<std::byte, 32>& secret)
{
    secp256k1_pubkey key;
    if (secp256k1_ec_pubkey_create(context(), &key, raw(Bytes(secret))) != 1)
        return fail(errors::bad_key, "these 32 bytes are no secp256k1 key");
    EthereumSigner signer;
    signer.secret_ = secret;
    signer.public_key_ = serialize(key);
    return signer;
}

EthereumSigner EthereumSigner::generate(Random& random)
{
    for (;;) {
        std::array<std::byte, 32> secret{};
        random.fill(secret);
        // All but a few of the 2^256 numbers are keys.
        if (auto made = from_secret(secret))
            return *std::move(made);
    }
}

Result<EthereumSigner> EthereumSigner::from_hex(std::string_view text)
{
    if (text.starts_with("0x"))
        text.remove_prefix(2);
    const auto bytes = altiplano::from_hex(text);
    if (!bytes || bytes->size() != 32)
        return fail(errors::bad_key, "an Ethereum key is 64 hex digits, with or without 0x");
    std::array<std::byte, 32> secret{};
    std::ranges::copy(*bytes, secret.begin());
    return from_secret(secret);
}

std::string EthereumSigner::hex() const
{
    return "0x" + altiplano::hex(secret_);
}

Buffer EthereumSigner::sign(const Sha384& message) const
{
    secp256k1_ecdsa_recoverable_signature recoverable;
    ENSURE(secp256k1_ecdsa_sign_recoverable(
               context(), &recoverable, raw(personal(message).bytes()), raw(Bytes(secret_)), nullptr, nullptr)
            == 1,
        "a secp256k1 key signs any message");
    Buffer signature(65);
    int recovery = 0;
    secp256k1_ecdsa_recoverable_signature_serialize_compact(context(), raw_to(signature), &recovery, &recoverable);
    signature[64] = static_cast<std::byte>(27 + recovery);
    return signature;
}

}  // namespace altiplano::item
