#pragma once

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/id.hpp"
#include "item/signature.hpp"
#include "item/tags.hpp"
#include "item/winston.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace altiplano::item {

/// Most tag bytes that an item from outside may have: what bundlers and gateways accept (ao-protocol.md 1.4).
inline constexpr std::uint64_t tag_bytes_max = 4096;

/// What a transaction of Arweave's first layer has and a data item has not (item/transaction.hpp).
struct Layer1 {
    unsigned format = 2;
    Winston quantity;
    Winston reward;
    std::uint64_t data_size = 0;
    std::optional<Digest> data_root;  ///< in format 2, of any data
};

/// All of a data item but its data: the part of the wire before it (ANS-104; ao-protocol.md 1.1). Or all of a transaction of
/// the first layer but its data: what has a signature, an owner, tags and an id is read in one way. Immutable.
class Header {
public:
    /// Reads a header from the front of an item. `wire` may go on with data, or stop anywhere inside it.
    /// @param tag_limit  most tag bytes; what a process sends may have more than a client's item
    /// @return item.truncated when `wire` is too short for the header; item.*
    static Result<Header> parse(Bytes wire, std::uint64_t tag_limit = tag_bytes_max);

    /// What `wire` of any header gave, a transaction's too. @return item.truncated, item.*
    static Result<Header> parse_stored(Bytes stored);

    /// Null for a data item.
    const Layer1* layer1() const noexcept { return layer1_ ? &*layer1_ : nullptr; }
    const SignatureType& signature_type() const noexcept { return *type_; }
    Bytes signature() const noexcept { return Bytes(wire_).subspan(2, type_->signature_bytes); }
    Bytes owner_key() const noexcept { return Bytes(wire_).subspan(2 + type_->signature_bytes, type_->owner_bytes); }
    const Address& owner() const noexcept { return owner_; }
    const ItemId& id() const noexcept { return id_; }  ///< SHA-256 of the signature
    /// The 32 bytes of the receiver, which may be a process or a wallet.
    const std::optional<Digest>& target() const noexcept { return target_; }
    /// Empty or 32 bytes; of a transaction its `last_tx`, which may have 48.
    Bytes anchor() const noexcept { return Bytes(wire_).subspan(anchor_at_, anchor_size_); }
    const Tags& tags() const noexcept { return tags_; }
    /// The tags as they were signed: an encoder may choose other blocks, so the bytes are kept.
    Bytes tag_bytes() const noexcept { return Bytes(wire_).subspan(tags_at_); }
    /// As it came; of a transaction, which comes as JSON, an encoding of our own that is no data item's.
    Bytes wire() const noexcept { return wire_; }
    std::size_t size() const noexcept { return wire_.size(); }

    /// What the signature signs, given the deep hash of the data (ao-protocol.md 1.3: eight elements, the type as text
    /// and the tags as one blob, unlike the written ANS-104). A transaction of format 2 signs its data's root instead.
    Sha384 message(const Sha384& data_deep_hash) const;
    /// Of a transaction of format 2 this says nothing about the data: see verify_data.
    /// @return item.unsupported_signature, item.bad_signature; ENSUREs no format 1, which signs its data as it is
    Result<void> verify(const Sha384& data_deep_hash) const;

private:
    friend class DataItem;
    friend Result<Header> join_layer1(Buffer encoded);
    friend Result<void> verify_data(const Header& transaction, Bytes data);
    Sha384 layer1_message() const;
    Buffer wire_;
    std::optional<Layer1> layer1_;
    const SignatureType* type_ = nullptr;
    Address owner_;
    ItemId id_;
    std::optional<Digest> target_;
    std::size_t anchor_at_ = 0;
    std::size_t anchor_size_ = 0;
    std::size_t tags_at_ = 0;
    Tags tags_;
};

/// The header of a transaction from our encoding of it (transaction.cpp).
Result<Header> join_layer1(Buffer encoded);

/// A signed data item, or transaction, with its data in memory. Immutable, cheap to copy: copies share the bytes.
/// For data that should not be held in memory use Header and read the data elsewhere.
class DataItem {
public:
    DataItem() = default;  ///< holds nothing; only assignment and destruction are allowed

    /// Structure only, the signature is not checked. @return item.*
    static Result<DataItem> parse(Bytes wire, std::uint64_t tag_limit = tag_bytes_max);
    /// Signature and data. @return item.unsupported_signature, item.bad_signature, item.bad_data_root
    Result<void> verify() const;

    const Header& header() const noexcept { return whole_->header; }
    const ItemId& id() const noexcept { return header().id(); }
    const Address& owner() const noexcept { return header().owner(); }
    const std::optional<Digest>& target() const noexcept { return header().target(); }
    Bytes anchor() const noexcept { return header().anchor(); }
    const Tags& tags() const noexcept { return header().tags(); }
    Bytes data() const noexcept { return whole_->data; }
    Buffer wire() const;  ///< header and data, as signed

private:
    struct Whole {
        Header header;
        Buffer data;
    };
    std::shared_ptr<const Whole> whole_;
    friend DataItem join(Header header, Buffer data);
};

/// A header and the data that it was signed with.
DataItem join(Header header, Buffer data);

}  // namespace altiplano::item
