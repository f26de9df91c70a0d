#pragma once

#include "memory/image.hpp"

// What loading, merging and putting over another state have in common: they read layers of a state.
namespace altiplano::memory {

inline constexpr std::uint64_t small_tree_bytes = 64 << 10;  ///< a level this small is read and written at once, not mapped

/// The fronts of a chain, each overlay on the one before it.
Result<std::vector<Image>> read_chain(std::span<const File* const> layers);
Result<void> read_exactly(const File& file, std::uint64_t offset, std::span<std::byte> into);
/// The tree as of the newest layer, to be checked as it is used.
Result<void> load_tree(std::span<const File* const> layers, std::span<const Image> images, PageTree& tree);
/// How many pages there are in the groups that hold a hash.
std::uint64_t state_pages(const PageTree& tree);
/// Visits the groups of hashes of an overlay.
using VisitGroup = std::function<Result<void>(std::uint64_t level, std::uint64_t number, Bytes hashes)>;
Result<void> each_group_of(const File& file, const Image& image, const VisitGroup& visit);
/// The packed pages of an overlay, one after the other.
Result<Buffer> read_packed(const File& file, const Image& image);
/// Visits each of them. @param packed  what `read_packed` gave
using VisitPacked = std::function<Result<void>(std::uint64_t page, Bytes packed)>;
Result<void> each_packed(const Image& image, Bytes packed, const VisitPacked& visit);

}  // namespace altiplano::memory
