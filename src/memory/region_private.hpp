#pragma once

// What only the sources of a region see.
//
// What was committed lies in files: those of an image that were shown, and for every other page, and for whatever was
// committed since, a memory file (memfd). The region maps them privately, so the guest's writes go to copies that only
// this mapping sees. A commit writes dirty pages to the memory file; a roll-back drops the copies, or copies back what
// the memory file has over an image's page. No page ever gets a mapping of its own: vm.max_map_count is 65530.

#include "memory/dirty.hpp"
#include "memory/faults.hpp"
#include "memory/file_hashes.hpp"
#include "memory/kernel.hpp"
#include "memory/parked_items.hpp"
#include "memory/region.hpp"
#include "memory/sparse_bytes.hpp"

#include <algorithm>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace altiplano::memory {

inline constexpr std::uint64_t check_pages_min = 16;  ///< what one group of page hashes covers
/// How many pages are checked together, at first and where somebody reads on and on: those that must be hashed for it, and those
/// of known hashes.
struct Stride {
    std::uint64_t first, longest;
};
inline constexpr Stride hashed_stride{check_pages_min, 256};
inline constexpr Stride known_stride{256, 16384};
/// Pages between two written ones: walking over them costs less than a call.
inline constexpr std::uint64_t armed_together = 128;
inline constexpr std::uint64_t kept_by_page = 16;  ///< pages; a longer run is written in one call
inline constexpr std::uint8_t hot = 4;  ///< commits in a row that changed a page, before it is no longer watched

// What is noted of a page.
inline constexpr std::uint8_t in_delta = 1;  ///< committed since its image: the memory file has it
inline constexpr std::uint8_t unsaved = 2;
inline constexpr std::uint8_t kept_before = 4;  ///< written to the memory file before
inline constexpr std::uint8_t taken = 8;  ///< written since the last commit, and armed again for who keeps a copy

/// A descriptor that is closed when the last mapping of it is forgotten.
class Descriptor {
public:
    explicit Descriptor(int number)
        : number_(number)
    {
    }
    ~Descriptor()
    {
        if (number_ >= 0)
            close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int number() const { return number_; }

private:
    int number_;
};

/// @return memory.kernel
Result<std::shared_ptr<const Descriptor>> duplicate(int descriptor);
Result<void> write_all(int descriptor, Bytes bytes, std::uint64_t offset);

/// A mapped range and the file that shows in it.
struct Mapping {
    MappedRange range;
    std::shared_ptr<const Descriptor> file;
    std::uint64_t file_offset = 0;
    std::shared_ptr<FileHashes> hashes;  ///< nullptr: of a file that shows nowhere else

    std::uint64_t end() const { return range.at + range.length; }
    /// The part of it in [begin, stop).
    Mapping part(std::uint64_t begin, std::uint64_t stop) const
    {
        const auto skipped = begin - range.at;
        return {{begin, stop - begin, range.item, range.item_offset + skipped}, file, file_offset + skipped, hashes};
    }
    PageRange pages() const { return {range.at / page_bytes, range.length / page_bytes}; }
    parked_items::Item item() const { return {hashes, file_offset, range.length}; }
    /// The page of the file that shows in a page of memory.
    std::uint64_t file_page(std::uint64_t page) const { return file_offset / page_bytes + (page - range.at / page_bytes); }
};

/// Pages of an image. Without a file: pages of the memory file.
struct Backing {
    PageRange pages;
    std::shared_ptr<const Descriptor> file;
    std::uint64_t file_offset = 0;

    Backing part(std::uint64_t first, std::uint64_t stop) const
    {
        return {{first, stop - first}, file, file_offset + (first - pages.first) * page_bytes};
    }
};

inline bool whole_pages(std::uint64_t bytes)
{
    return bytes % page_bytes == 0;
}

inline PageRange cut(PageRange range, std::uint64_t first, std::uint64_t stop)
{
    first = std::max(first, range.first);
    stop = std::min(stop, end_of(range));
    return {first, stop > first ? stop - first : 0};
}

/// A number that no region of this program had before: another one may lie at the same address.
std::uint64_t next_epoch() noexcept;

struct Region::Private final : FaultMender {
    std::byte* base = nullptr;
    std::uint64_t reserved = 0;
    std::uint64_t length = 0;
    std::uint64_t committed_length = 0;
    int delta = -1;  ///< the memory file; offsets are addresses
    std::unique_ptr<DirtyTracker> tracker;
    std::vector<Backing> images;  ///< ascending, apart
    std::vector<Mapping> mappings;  ///< ascending, apart
    std::vector<Mapping> committed_mappings;
    std::vector<MappedRange> ranges;  ///< what `mappings` says to the world
    std::vector<PageRange> replaced;  ///< mapped or unmapped since the last commit

    std::uint64_t epoch = next_epoch();  ///< of take_written
    std::vector<std::uint64_t> taken_list;

    SparseBytes notes;  ///< per page: in_delta, unsaved, kept_before, taken
    std::vector<std::uint64_t> unsaved_list;
    SparseBytes heat;  ///< per page: commits in a row that changed it
    std::vector<std::uint64_t> heated;  ///< ascending pages with any heat
    std::byte* delta_view = nullptr;  ///< the memory file, shared, once there are hot pages: they go there without a system call

    PageCheck* check = nullptr;
    std::uint64_t check_pages = check_pages_min;
    SparseBytes unchecked;  ///< per `check_pages` pages: nobody has seen them yet
    std::vector<PageRange> put_pages;  ///< until `settle`
    std::mutex mending;  ///< threads that a host call lets read guest memory may fault side by side
    std::uint64_t examined_until = UINT64_MAX;  ///< where the newest examination ended
    std::uint64_t examined_pages = 0;
    bool damaged = false;
    WatchedRange watched;

    Private() = default;
    Private(const Private&) = delete;
    Private& operator=(const Private&) = delete;
    ~Private()
    {
        watched = {};
        tracker.reset();
        release();
        if (delta_view)
            munmap(delta_view, reserved);
        if (delta >= 0)
            close(delta);
    }

    std::uint64_t pages() const { return length / page_bytes; }
    std::byte* at(std::uint64_t page) const { return base + page * page_bytes; }
    bool is_unchecked(std::uint64_t page) const { return check != nullptr && unchecked[page / check_pages] != 0; }
    const Mapping* mapping_from(std::uint64_t page) const;
    /// Visits pieces of `range`, each with one backing.
    template <class Visit> Result<void> by_backing(PageRange range, const Visit& visit) const;
    Result<void> map_backing(PageRange range);
    Result<void> show_committed(PageRange range);
    Result<void> copy_back(PageRange range);
    Result<void> read_committed(std::uint64_t page, std::span<std::byte> into) const;
    bool is_writable(std::uint64_t begin, std::uint64_t bytes) const noexcept;
    Result<void> map(Mapping mapping);
    Result<void> show_item(const Mapping& mapping);
    void describe_mappings();
    std::vector<PageRange> ordinary(PageRange within) const;
    Result<std::vector<PageRange>> dirty_ranges() const;

    Result<void> protect(PageRange range);
    bool is_known(PageRange range) const noexcept;
    bool check_group(PageRange range) noexcept;
    bool show_parked(const Mapping& mapping) noexcept;
    void release() noexcept;
    bool examine(std::uint64_t page);
    Result<void> examine_all(PageRange range);
    bool mend(std::uintptr_t address, Access access, bool last_chance) noexcept override;
    void note_unsaved(std::uint64_t page, std::uint8_t also);
    void begin_epoch() noexcept;
    Result<void> view_delta();
    Result<void> keep(PageRange run);
    void warm(std::span<const std::uint64_t> dirty, const std::vector<bool>& changed);
    Result<void> arm(std::span<const std::uint64_t> dirty);
};

template <class Visit> Result<void> Region::Private::by_backing(PageRange range, const Visit& visit) const
{
    auto next = std::ranges::upper_bound(images, range.first, {}, [](const Backing& one) { return end_of(one.pages); });
    for (auto page = range.first; page < end_of(range);) {
        if (next == images.end() || next->pages.first >= end_of(range)) {
            TRY_OK(visit(Backing{{page, end_of(range) - page}, nullptr, page * page_bytes}));
            break;
        }
        if (page < next->pages.first) {
            TRY_OK(visit(Backing{{page, next->pages.first - page}, nullptr, page * page_bytes}));
            page = next->pages.first;
        }
        const auto stop = std::min(end_of(range), end_of(next->pages));
        TRY_OK(visit(next->part(page, stop)));
        page = stop;
        ++next;
    }
    return {};
}

}  // namespace altiplano::memory
