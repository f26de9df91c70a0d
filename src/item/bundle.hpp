#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"
#include "base/result.hpp"
#include "item/tags.hpp"

#include <vector>

/// ANS-104 bundles (ao-protocol.md 1.7): a count, a size and an id per member, then the members one after the other.
namespace altiplano::item {

/// Whether an item's tags say that its data is a bundle.
bool is_bundle(const Tags& tags);

inline constexpr std::size_t bundle_count_bytes = 32;
inline constexpr std::size_t bundle_entry_bytes = 64;

struct Member {
    ItemId id;
    std::uint64_t offset = 0;  ///< inside the bundle
    std::uint64_t size = 0;
};

/// How many members the first bundle_count_bytes of a bundle of `size` bytes promise. @return item.bad_bundle
Result<std::uint64_t> bundle_count(Bytes front, std::uint64_t size);
/// The next members, from whole entries. @param offset  where the first of them lies @return item.bad_bundle
Result<std::vector<Member>> bundle_members(Bytes entries, std::uint64_t offset, std::uint64_t size);

/// A bundle in memory whole.
struct BundlePart {
    ItemId id;
    Bytes wire;
};
Buffer encode_bundle(const std::vector<BundlePart>& members);

}  // namespace altiplano::item
