#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <array>
#include <compare>
#include <functional>

namespace altiplano {

/// 32 bytes that AO writes as 43 characters of base64url. All ids share that one space and nothing in an id says
/// what it names (ao-protocol.md 1.5), so each kind is a type of its own; converting between kinds is explicit.
template <class Kind> class Id {
public:
    static constexpr std::size_t size = 32;

    Id() = default;  ///< all zero: names nothing
    explicit Id(const std::array<std::byte, size>& bytes)
        : bytes_(bytes)
    {
    }
    /// The same bytes as another kind: a process id is the id of the item that spawned it.
    template <class Other>
    explicit Id(const Id<Other>& other)
        : bytes_(other.array())
    {
    }

    /// @return base.bad_id
    static Result<Id> parse(std::string_view text);
    /// @return base.bad_id unless exactly 32 bytes
    static Result<Id> from_bytes(Bytes bytes);

    std::string text() const;
    Bytes bytes() const noexcept { return bytes_; }
    const std::array<std::byte, size>& array() const noexcept { return bytes_; }
    bool is_zero() const noexcept { return *this == Id{}; }

    friend auto operator<=>(const Id&, const Id&) = default;
    friend bool operator==(const Id&, const Id&) = default;

private:
    std::array<std::byte, size> bytes_{};
};

namespace detail {
Result<std::array<std::byte, 32>> parse_id(std::string_view text);
Result<std::array<std::byte, 32>> id_from_bytes(Bytes bytes);
std::string id_text(Bytes bytes);
}  // namespace detail

template <class Kind> Result<Id<Kind>> Id<Kind>::parse(std::string_view text)
{
    TRY(const auto bytes, detail::parse_id(text));
    return Id(bytes);
}
template <class Kind> Result<Id<Kind>> Id<Kind>::from_bytes(Bytes bytes)
{
    TRY(const auto array, detail::id_from_bytes(bytes));
    return Id(array);
}
template <class Kind> std::string Id<Kind>::text() const
{
    return detail::id_text(bytes_);
}

using ItemId = Id<struct ItemKind>;  ///< SHA-256 of a data item's signature
using ProcessId = Id<struct ProcessKind>;  ///< the id of the item that spawned the process
using ModuleId = Id<struct ModuleKind>;  ///< the id of the item that carries the wasm
using AssignmentId = Id<struct AssignmentKind>;  ///< the id of the scheduler's assignment item
using BlockHash = Id<struct BlockKind>;  ///< of a block of the weave
using WeaveId = Id<struct WeaveKind>;  ///< genesis id of a weave
using Digest = Id<struct DigestKind>;  ///< a 32-byte hash that names nothing: hash chain, state root, SHA-256

/// A wallet or process as AO writes it in `From`, `Owner` and `Target`: 43 characters of base64url, or the
/// checksummed `0x...` of an Ethereum key (ao-protocol.md 1.5), which cannot be a Target.
class Address {
public:
    Address() = default;
    explicit Address(std::string text)
        : text_(std::move(text))
    {
    }
    template <class Kind>
    explicit Address(const Id<Kind>& id)
        : text_(id.text())
    {
    }

    const std::string& text() const noexcept { return text_; }
    bool empty() const noexcept { return text_.empty(); }

    friend auto operator<=>(const Address&, const Address&) = default;
    friend bool operator==(const Address&, const Address&) = default;

private:
    std::string text_;
};

}  // namespace altiplano

template <class Kind> struct std::hash<altiplano::Id<Kind>> {
    std::size_t operator()(const altiplano::Id<Kind>& id) const noexcept
    {
        // The bytes are a hash already.
        std::size_t value;
        std::memcpy(&value, id.array().data(), sizeof value);
        return value;
    }
};
