#pragma once

#include "base/files.hpp"
#include "memory/page_tree.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace altiplano::memory {

/// What an image says of itself: a committed state as a file, a cache of the log, never a source of truth.
///
/// Layout, little-endian: the front (image_front.cpp), zero up to whole pages; then the pages of `runs`, one after the
/// other, pages of zeros as holes; then the page tree: a whole image has its seven levels as arrays that can be mapped, an
/// overlay the groups that changed. An overlay holds what changed since the image whose root is `base`. A packed one lies on a
/// whole image (a CommonImage) and holds what its pages have that those have not: the groups, then the packed pages.
struct Image {
    Digest root;
    Digest pages_root;  ///< the hash over all pages; with the rest of the front it gives `root`
    std::optional<Digest> base{};
    std::uint64_t length_bytes = 0;
    Buffer globals;
    std::vector<MappedRange> mapped;
    std::vector<PageRange> runs;  ///< ascending, apart
    std::uint64_t groups = 0;  ///< of hashes, in an overlay
    bool packed = false;

    std::uint64_t front_bytes = 0;
    std::uint64_t page_count() const;  ///< of `runs`
    std::uint64_t tree_at() const { return front_bytes + (packed ? 0 : page_count() * page_bytes); }
    std::uint64_t file_bytes() const;  ///< without packed pages, which say themselves how many bytes they are
};

/// When an overlay is worth it: a state of which much changed is written whole. What is scattered is copied when it is restored,
/// so there may not be much of it. A small state is written whole again after a few overlays, which costs less than a merge.
struct SaveRule {
    std::uint64_t small_state_pages = (std::uint64_t{64} << 20) / page_bytes;
    std::size_t small_state_overlays = 3;
    std::size_t overlays = 0;  ///< that are there already, over the whole image
    std::uint64_t scattered_pages_max = 1024;  ///< in runs shorter than `mapped_run_pages`
    /// Without, the file may be lost or cut by a crash, which is found as any other damage is.
    bool durable = true;
};
inline constexpr std::uint64_t mapped_run_pages = 32;

struct SavedImage {
    std::optional<Digest> base{};  ///< what it lies on, if it is an overlay
    std::uint64_t pages = 0;  ///< that were written
    bool small = false;  ///< the state is, by the rule: its overlays need no merging
    bool packed = false;  ///< it lies on the common image
};

class CommonImage;
using KeptImage = std::shared_ptr<const CommonImage>;

/// Writes the region's committed state whole, or what changed since `base` if the region was last saved as, or restored
/// from, that state and an overlay is worth it, or packed as what differs from `common`, where that is little. Whole or absent;
/// the region then counts as saved.
/// @return base.disk_full, base.file_failed, memory.bad_image when what the region shows proves damaged
Result<SavedImage> save_image(Files& files, const Path& path, Region& region, PageTree& tree, Bytes globals, const Digest& root,
    const std::optional<Digest>& base = {}, const SaveRule& rule = {}, const CommonImage* common = nullptr);

/// Reads the front of an image only, and checks it. @return memory.bad_image, base.file_*
Result<Image> read_image(const File& file);

/// Shows the bytes of an item in the region, for a mapped range.
using MapItem = std::function<Result<void>(Region&, const MappedRange&)>;

/// Fills a fresh region and its tree from an image and the overlays on it, oldest first. Pages are mapped, not read: each
/// is checked against the state root before its first use (Region::settle), and `tree` is lent to the region for life.
/// Cost: tens of microseconds, and a microsecond per page of an overlay that is too scattered to be mapped.
/// @return memory.bad_image, memory.kernel, base.file_*, what `map_item` returns
Result<Image> load_image(std::span<const File* const> layers, Region& region, PageTree& tree, const MapItem& map_item);

/// The most pages that a state may have to be put over another one, and the longest memory.
inline constexpr std::uint64_t overwritten_state_pages = 2048;
inline constexpr std::uint64_t overwritten_memory_bytes = std::uint64_t{64} << 20;
/// Whether a committed state may be overwritten: it is small, and shows no items.
bool may_be_overwritten(const Region& region, const PageTree& tree);
/// Puts a state over the committed one of a region: pages whose hashes differ are copied, all others stay as they are. Then the
/// caller commits, and what root comes of it says whether this is the state of the image, to the last byte.
/// @param common  that of the machine before, if it had one: read anew where it is none of this image
/// @return nothing where a fresh region is the way (`may_be_overwritten`, of both; a memory that would have to become shorter);
/// memory.bad_image, base.file_*, memory.kernel. Without an image to return, the region is to be dropped.
Result<std::optional<Image>> overwrite_with_image(
    std::span<const File* const> layers, Region& region, PageTree& tree, KeptImage& common);

/// Makes one whole image of an image and its overlays, oldest first, checking every page. Touches no machine.
/// @return memory.bad_image, base.*
Result<void> merge_images(Files& files, const Path& path, std::span<const File* const> layers);
/// Checks every byte of a whole image. @return memory.bad_image, base.*
Result<void> check_whole_image(const File& file);

}  // namespace altiplano::memory
