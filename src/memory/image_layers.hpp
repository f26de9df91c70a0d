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
/// The packed pages of an overlay, one after the other.
Result<Buffer> read_packed(const File& file, const Image& image);
/// Takes the first packed page from what is left.
Result<Bytes> take_packed(Bytes& rest);

}  // namespace altiplano::memory
