#pragma once

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/id.hpp"
#include "item/signature.hpp"
#include "item/tags.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace altiplano::item {

/// Most tag bytes that an item from outside may have: what bundlers and gateways accept (ao-protocol.md 1.4).
inline constexpr std::uint64_t tag_bytes_max = 4096;

/// All of a data item but its data: the part of the wire before it (ANS-104; ao-protocol.md 1.1). Immutable.
class Header {
public:
    /// Reads a header from the front of an item. `wire` may go on with data, or stop anywhere inside it.
    /// @param tag_limit  most tag bytes; what a process sends may have more than a client's item
    /// @return item.truncated when `wire` is too short for the header; item.*
    static Result<Header> parse(Bytes wire, std::uint64_t tag_limit = tag_bytes_max);

    const SignatureType& signature_type() const noexcept { return *type_; }
    Bytes signature() const noexcept { return Bytes(wire_).subspan(2, type_->signature_bytes); }
    Bytes owner_key() const noexcept { return Bytes(wire_).subspan(2 + type_->signature_bytes, type_->owner_bytes); }
    const Address& owner() const noexcept { return owner_; }
    const ItemId& id() const noexcept { return id_; }  ///< SHA-256 of the signature
    /// The 32 bytes of the receiver, which may be a process or a wallet.
    const std::optional<Digest>& target() const noexcept { return target_; }
    Bytes anchor() const noexcept { return Bytes(wire_).subspan(anchor_at_, anchor_size_); }  ///< empty or 32 bytes
    const Tags& tags() const noexcept { return tags_; }
    /// The tags as they were signed: an encoder may choose other blocks, so the bytes are kept.
    Bytes tag_bytes() const noexcept { return Bytes(wire_).subspan(tags_at_); }
    Bytes wire() const noexcept { return wire_; }
    std::size_t size() const noexcept { return wire_.size(); }

    /// What the signature signs, given the deep hash of the data (ao-protocol.md 1.3: eight elements, the type as text
    /// and the tags as one blob, unlike the written ANS-104).
    Sha384 message(const Sha384& data_deep_hash) const;
    /// @return item.unsupported_signature, item.bad_signature
    Result<void> verify(const Sha384& data_deep_hash) const;

private:
    friend class DataItem;
    Buffer wire_;
    const SignatureType* type_ = nullptr;
    Address owner_;
    ItemId id_;
    std::optional<Digest> target_;
    std::size_t anchor_at_ = 0;
    std::size_t anchor_size_ = 0;
    std::size_t tags_at_ = 0;
    Tags tags_;
};

/// A signed data item with its data in memory. Immutable, cheap to copy: copies share the bytes.
/// For data that should not be held in memory use Header and read the data elsewhere.
class DataItem {
public:
    DataItem() = default;  ///< holds nothing; only assignment and destruction are allowed

    /// Structure only, the signature is not checked. @return item.*
    static Result<DataItem> parse(Bytes wire, std::uint64_t tag_limit = tag_bytes_max);
    /// @return item.unsupported_signature, item.bad_signature
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
