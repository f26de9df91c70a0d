#pragma once

#include "base/random.hpp"
#include "item/signer.hpp"

#include <array>

namespace altiplano::item {

/// A personal message (EIP-191) of the deep hash, signed with secp256k1; `v` is 27 or 28, the owner an uncompressed key
/// (ao-protocol.md 1.2). The malleable twin of a signature (high s) is refused, so that a message has one id.
bool verify_ethereum(Bytes owner, Bytes signature, const Sha384& message);

/// `0x` and the last 20 bytes of Keccak-256 of the key, checksummed by EIP-55 (ao-protocol.md 1.5).
/// @param owner  65 bytes, the first of them 4
std::string ethereum_address(Bytes owner);

/// secp256k1 (ANS-104 type 3); the nonce follows from key and message (RFC 6979).
class EthereumSigner final : public Signer {
public:
    static EthereumSigner generate(Random& random);
    /// 64 hex digits, with or without 0x. @return item.bad_key
    static Result<EthereumSigner> from_hex(std::string_view text);
    std::string hex() const;  ///< 0x and 64 digits. Secret.

    const SignatureType& type() const override { return *signature_type(ethereum_signature); }
    Bytes owner_key() const override { return public_key_; }
    Buffer sign(const Sha384& message) const override;

private:
    static Result<EthereumSigner> from_secret(const std::array<std::byte, 32>& secret);
    std::array<std::byte, 32> secret_{};
    std::array<std::byte, 65> public_key_{};
};

}  // namespace altiplano::item
