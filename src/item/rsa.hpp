#pragma once

#include "item/signer.hpp"

#include <memory>

namespace altiplano::item {

/// RSA-PSS with SHA-256, MGF1-SHA-256 and exponent 65537; the salt's length is read from the signature, since WebCrypto,
/// Node and wallets use different ones (ao-protocol.md 1.2). Also what signs transactions of the first layer, those of format 1
/// as bytes of any length.
bool verify_rsa(Bytes modulus, Bytes signature, const Sha384& message);
bool verify_rsa_of(Bytes modulus, Bytes signature, Bytes message);

/// RSA-PSS with 4096 bits: Arweave's own wallets (ANS-104 type 1). The salt of 32 bytes follows from key and message, so
/// that the same message has one signature (law 4); a stranger cannot tell it from a random one.
class RsaSigner final : public Signer {
public:
    /// Takes a second or so. The primes come from OpenSSL's generator.
    static RsaSigner generate();
    /// @return item.bad_key unless it is a whole RSA key of 4096 bits whose parts belong together
    static Result<RsaSigner> from_jwk(std::string_view text);
    /// Secret: {"kty":"RSA","n","e","d","p","q","dp","dq","qi"} as arweave-js has it.
    std::string jwk() const;

    const SignatureType& type() const override { return *signature_type(arweave_signature); }
    Bytes owner_key() const override { return modulus_; }
    Buffer sign(const Sha384& message) const override;

private:
    struct Key;
    explicit RsaSigner(std::shared_ptr<const Key> key);
    std::shared_ptr<const Key> key_;
    Buffer modulus_;
    Digest secret_;  ///< of the salts
};

}  // namespace altiplano::item
