#pragma once

#include "base/random.hpp"
#include "item/data_item.hpp"

#include <array>

namespace altiplano::item {

/// What is signed: everything of an item but who signs it.
struct Fields {
    std::optional<Digest> target{};
    std::string anchor{};  ///< empty or 32 bytes
    Tags tags{};
    Buffer data{};
};

/// Signs items. Deterministic: the same fields give the same item (law 4). Safe from any thread.
class Signer {
public:
    virtual ~Signer() = default;
    virtual const SignatureType& type() const = 0;
    virtual Bytes owner_key() const = 0;
    virtual Buffer sign(const Sha384& message) const = 0;

    Address address() const { return address_of(owner_key()); }
};

/// Ed25519 (ANS-104 type 2).
class Ed25519Signer final : public Signer {
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

private:
    std::array<std::byte, 32> seed_;
    std::array<std::byte, 32> public_key_;
};

/// @return item.bad_field
Result<DataItem> build(Fields fields, const Signer& signer);
/// The header of an item whose data is elsewhere. @param data_deep_hash  deep_hash_blob of the data; `fields.data` stays empty
Result<Header> build_header(const Fields& fields, const Sha384& data_deep_hash, const Signer& signer);

}  // namespace altiplano::item
