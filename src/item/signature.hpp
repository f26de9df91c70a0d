#pragma once

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/id.hpp"

namespace altiplano::item {

/// A row per signature type of ANS-104 (ao-protocol.md 1.2).
struct SignatureType {
    std::uint16_t number;
    std::string_view name;
    std::size_t signature_bytes;
    std::size_t owner_bytes;
    /// Whether `signature` of the deep hash was made by the key `owner`; null: we parse the type but cannot verify it.
    bool (*verify)(Bytes owner, Bytes signature, const Sha384& message);
};

/// @return null for a number that ANS-104 does not have
const SignatureType* signature_type(std::uint16_t number);

inline constexpr std::uint16_t arweave_signature = 1;
inline constexpr std::uint16_t ed25519_signature = 2;
inline constexpr std::uint16_t ethereum_signature = 3;
inline constexpr std::uint16_t solana_signature = 4;

/// Whom AO answers: base64url(SHA-256(owner)), for Ethereum keys the checksummed `0x...` (ao-protocol.md 1.5).
/// @param owner  of the length that the type has
Address address_of(const SignatureType& type, Bytes owner);

}  // namespace altiplano::item
