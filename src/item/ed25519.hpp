#pragma once

#include "base/random.hpp"
#include "item/signer.hpp"

#include <array>

namespace altiplano::item {

bool verify_ed25519(Bytes owner, Bytes signature, const Sha384& message);
/// Solana wallets sign text, so the message is the deep hash in lower-case hex (ao-protocol.md 1.2).
bool verify_solana(Bytes owner, Bytes signature, const Sha384& message);

/// Ed25519 (ANS-104 type 2).
class Ed25519Signer : public Signer {
public:
    explicit Ed25519Signer(const std::array<std::byte, 32>& seed);
    static Ed25519Signer generate(Random& random);

    /// The key as JWK text (RFC 8037): {"kty":"OKP","crv":"Ed25519","d":...,"x":...}. Secret.
    std::string jwk() const;
    /// Reads what `jwk` writes. @return item.bad_key
    static Result<Ed25519Signer> from_jwk(std::string_view text);

    const SignatureType& type() const override { return *signature_type(ed25519_signature); }
    Bytes owner_key() const override { return public_key_; }
    Buffer sign(const Sha384& message) const override;

protected:
    Buffer sign_bytes(Bytes message) const;

private:
    std::array<std::byte, 32> seed_;
    std::array<std::byte, 32> public_key_;
};

/// The same keys as Solana's wallets use them (ANS-104 type 4).
class SolanaSigner final : public Ed25519Signer {
public:
    using Ed25519Signer::Ed25519Signer;
    const SignatureType& type() const override { return *signature_type(solana_signature); }
    Buffer sign(const Sha384& message) const override;
};

}  // namespace altiplano::item
