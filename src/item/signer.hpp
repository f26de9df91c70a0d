#pragma once

#include "item/data_item.hpp"

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

    Address address() const { return address_of(type(), owner_key()); }
};

/// @return item.bad_field
Result<DataItem> build(Fields fields, const Signer& signer);
/// The header of an item whose data is elsewhere. @param data_deep_hash  deep_hash_blob of the data; `fields.data` stays empty
Result<Header> build_header(const Fields& fields, const Sha384& data_deep_hash, const Signer& signer);
/// A header whose fields are known one by one, as gateways tell them, with the tags as most encoders write them. The signature is
/// not checked. @return item.bad_field, item.*
Result<Header> join_header(const Fields& fields, const SignatureType& type, Bytes owner, Bytes signature);

}  // namespace altiplano::item
