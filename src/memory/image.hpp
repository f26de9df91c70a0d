#pragma once

#include "base/files.hpp"
#include "memory/page_tree.hpp"

#include <functional>

namespace altiplano::memory {

/// A committed state as one sparse file: a cache of the log, never a source of truth.
///
/// Layout, little-endian: "ALTIMAGE", u64 format 1, u64 page count of the front, state root (32), u64 memory length,
/// u64 globals length, u64 mapped ranges, globals, ranges of 56 bytes each, BLAKE3 of all that (32); zero up to whole
/// pages; then the memory, pages of zeros and mapped pages left out as holes.
struct Image {
    Digest root;
    std::uint64_t length_bytes = 0;
    Buffer globals;
    std::vector<MappedRange> mapped;
};

/// Writes the region's committed state. Whole or absent, durable when it returns.
/// @return base.disk_full, base.file_failed
Result<void> save_image(Files& files, const Path& path, const Region& region, Bytes globals, const Digest& root);

/// Reads the front of an image only. @return memory.bad_image, base.file_*
Result<Image> read_image(const File& file);

/// Shows the bytes of an item in the region, for a mapped range.
using MapItem = std::function<Result<void>(Region&, const MappedRange&)>;

/// Fills a fresh region and its tree, then checks that the state root is the image's, which finds any changed byte.
/// @return memory.bad_image, memory.kernel, base.file_*, what `map_item` returns
Result<Image> load_image(const File& file, Region& region, PageTree& tree, const MapItem& map_item);

}  // namespace altiplano::memory
