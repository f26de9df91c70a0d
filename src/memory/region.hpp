#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"
#include "base/result.hpp"

#include <memory>
#include <vector>

namespace altiplano::memory {

inline constexpr std::uint64_t page_bytes = 4096;  ///< unit of tracking, hashing and mapping

/// How written pages are found. The answer is the same, the cost is not.
enum class Tracker {
    automatic,  ///< kernel where it can, else fault
    kernel,  ///< userfaultfd WP_ASYNC + PAGEMAP_SCAN (Linux 6.7 and later)
    fault,  ///< write protection + SIGSEGV
    compare,  ///< byte by byte with the last commit: the oracle of the tests
};

/// Bytes of an item that appear in memory, read-only.
struct MappedRange {
    std::uint64_t at = 0;  ///< whole pages
    std::uint64_t length = 0;  ///< whole pages
    ItemId item;
    std::uint64_t item_offset = 0;  ///< whole pages
    friend bool operator==(const MappedRange&, const MappedRange&) = default;
};

struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    friend bool operator==(const PageRange&, const PageRange&) = default;
};

/// Knows what pages must hold.
class PageCheck {
public:
    /// @param hashes  of the pages from `first` on, under HashKind::page
    virtual bool check_hashes(std::uint64_t first, std::span<const Digest> hashes) noexcept = 0;

protected:
    ~PageCheck() = default;
};

/// Reserved address space whose front holds a machine's memory: what was last committed, overlaid with what the guest
/// wrote since.
///
/// The base address is fixed for life: compiled code holds it. One machine, one thread: no call here is safe beside
/// another. A moved-from region may only be destroyed.
class Region {
public:
    static constexpr std::uint64_t page_bytes = memory::page_bytes;
    static constexpr std::uint64_t memory_bytes_max = std::uint64_t{1} << 40;  ///< what the state root can cover
    static constexpr std::uint64_t reserved_bytes_max = memory_bytes_max + (std::uint64_t{8} << 30);

    /// An empty region. Costs address space, not memory.
    /// @return memory.bad_length, memory.over_reservation, memory.kernel
    static Result<Region> fresh(std::uint64_t reserved_bytes, Tracker tracker = Tracker::automatic);
    Region(Region&&) noexcept;
    Region& operator=(Region&&) noexcept;
    ~Region();

    /// Makes [0, length_bytes) usable, new bytes zero. Never shrinks, never moves.
    /// @return memory.bad_length, memory.over_reservation, memory.kernel; the region is then unchanged
    Result<void> grow(std::uint64_t length_bytes);
    /// The usable bytes. Borrowed until the region grows, moves or ends. Mapped ranges in it may only be read.
    std::span<std::byte> bytes() noexcept;
    Bytes bytes() const noexcept;
    std::uint64_t reserved_bytes() const noexcept;
    Tracker tracker() const noexcept;  ///< never automatic

    /// Shows [item_offset, item_offset + length) of an immutable file, read-only, in place of what was at `at`. The last
    /// page goes on with the file's bytes and reads as zero past its end. The descriptor is duplicated. Its pages are hashed once
    /// for all regions of this program.
    /// @return memory.bad_range (alignment, bounds, over another mapping), memory.kernel; the region is then unchanged
    Result<void> map(std::uint64_t at, std::uint64_t length, int descriptor, std::uint64_t file_offset, const ItemId& item,
        std::uint64_t item_offset);
    /// The same for an item that is no file of its own: its bytes are copied. @param bytes  up to the end of the last page or of
    /// the item
    Result<void> map_bytes(std::uint64_t at, Bytes bytes, const ItemId& item, std::uint64_t item_offset);
    /// Makes whole pages ordinary memory again, zero. Pages that are not mapped stay as they are.
    Result<void> unmap(std::uint64_t at, std::uint64_t length);
    const std::vector<MappedRange>& mapped_ranges() const noexcept;  ///< ascending, apart; neighbours of one item are one
    bool is_mapped(std::uint64_t page) const noexcept;
    /// The hash of a mapped page, if some region of this program has come by it. nullptr where not.
    const Digest* known_hash(std::uint64_t page) const noexcept;
    /// Remembers the hash of a mapped page for all of them. Other pages are none of its business.
    void note_hash(std::uint64_t page, const Digest& hash) noexcept;
    /// Whether the guest may write there: usable and nowhere mapped.
    bool is_writable(std::uint64_t at, std::uint64_t length) const noexcept;
    /// Before the kernel writes there for us (read(2) and the like), which would not raise the signal that we need.
    Result<void> prepare_write(std::uint64_t at, std::uint64_t length);

    // How a state comes back: `show` and `put` into a region that has grown, `map` as ever, then `settle`.

    /// Pages that lie in a file, from an offset on.
    struct Shown {
        PageRange pages;
        std::uint64_t file_offset = 0;
    };
    /// These pages, as of the last commit, lie in a file that nobody changes. Shown, not read; the descriptor is duplicated.
    /// A later call wins where they overlap. @return memory.bad_range, memory.kernel
    Result<void> show(std::span<const Shown> runs, int descriptor);
    /// The same for a page that is copied. Cost: two copies.
    Result<void> put(std::uint64_t page, Bytes bytes);
    /// What is there now is the last commit, and saved. A page that was shown, put or mapped is looked at by `check` (which
    /// the region borrows for life) before anybody sees it, together with its neighbours. @return memory.kernel
    Result<void> settle(PageCheck& check);
    /// Looks at pages that nobody has seen yet. @return memory.bad_image
    Result<void> examine(PageRange pages);
    /// Whether a page failed its check: then whatever the guest did since counts for nothing, and the region is to be dropped.
    bool damaged() const noexcept;

    /// Pages whose bytes may differ from the last commit, ascending, each once. Written, not different: a page may be
    /// named whose bytes went back to what they were.
    Result<std::vector<std::uint64_t>> dirty_pages() const;
    struct Written {
        std::uint64_t epoch = 0;  ///< another one after whatever changes bytes without a write: then all pages may differ
        std::vector<PageRange> pages{};  ///< ascending
    };
    /// For who keeps a copy, of which there is one: pages of `range` that may have other bytes than when they were last taken in
    /// this epoch, or, where they never were, than at its beginning. Commits lose nothing by it. Cost: a walk over the range's
    /// page table, and a fault at the next write to what was taken. @return memory.kernel
    Result<Written> take_written(PageRange range);
    /// What is there now is what roll_back returns to. Cost: the dirty pages.
    Result<void> commit();
    /// The same for who knows more. @param dirty  what dirty_pages gave; `changed` for each, whether its bytes are others
    Result<void> commit(std::span<const std::uint64_t> dirty, const std::vector<bool>& changed);
    /// Bytes, length and mapped ranges as of the last commit. Cost: the dirty pages.
    Result<void> roll_back();

    /// Pages that were committed with other bytes since the last `saved` or `settle`, in no order, each once.
    const std::vector<std::uint64_t>& unsaved_pages() const noexcept;
    void saved() noexcept;
    /// Pages that are written so often that they are no longer watched: they count as dirty every time.
    std::size_t hot_pages() const noexcept;
    bool is_hot(std::uint64_t page) const noexcept;
    /// These hot pages had the same bytes at the last commit as before: they are to be watched again from the next one on.
    void cool(std::span<const std::uint64_t> pages) noexcept;
    /// A page as of the last commit, which committed it while it was hot. Stays so until the next commit, whatever the guest
    /// writes and whichever thread reads. @return memory.kernel
    Result<Bytes> kept(std::uint64_t page);

private:
    Region();
    struct Private;
    std::unique_ptr<Private> private_;
};

/// Puts the signal handler of this room in front of what is installed now, unless it is there. Regions do it
/// themselves.
void install_fault_handler();

}  // namespace altiplano::memory
