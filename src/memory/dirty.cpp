// Talks to the kernel: userfaultfd and /proc/self/pagemap.
#include "memory/dirty.hpp"

#include "memory/kernel.hpp"
#include "memory/sparse_bytes.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than the headers of Debian 12 (Linux 6.1): linux/userfaultfd.h and linux/fs.h of 6.7.
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

namespace altiplano::memory {

namespace {

struct ScannedRange {
    std::uint64_t start, end, categories;
};
struct ScanRequest {
    std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted, category_mask,
        category_anyof_mask, return_mask;
};
constexpr std::uint64_t page_is_written = 1 << 1;
constexpr std::uint64_t page_is_file = 1 << 2;
constexpr std::uint64_t page_is_present = 1 << 3;
constexpr std::uint64_t page_is_swapped = 1 << 4;
constexpr std::uint64_t protect_matching = 1 << 0;
constexpr std::uint64_t check_async = 1 << 1;
const unsigned long pagemap_scan = _IOWR('f', 16, ScanRequest);

void add(std::vector<PageRange>& found, std::uint64_t page)
{
    if (!found.empty() && end_of(found.back()) == page)
        ++found.back().count;
    else
        found.push_back({page, 1});
}

// ---- userfaultfd: the kernel itself clears a bit at the first write, and lists the pages where it is clear.
//
// Listing walks the page tables of everything that was ever touched. So a large memory is cut into chunks, and a chunk that
// has not been written for some commits is closed: its first write is refused, which opens it again.

class KernelTracker final : public DirtyTracker {
public:
    static constexpr std::uint64_t chunk_pages = (std::uint64_t{64} << 20) / page_bytes;
    static constexpr std::uint8_t patience = 2;  ///< commits without a write before a chunk is closed
    static constexpr std::uint8_t closed_chunk = 255;
    static constexpr std::uint64_t few_chunks = 4;  ///< a memory this small is simply listed

    static Result<std::unique_ptr<DirtyTracker>> create(std::byte* base, std::uint64_t reserved_bytes)
    {
        auto tracker = std::make_unique<KernelTracker>(base);
        tracker->fault_fd_ = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
        if (tracker->fault_fd_ < 0)
            return kernel_error("open a userfaultfd");
        uffdio_api api{};
        api.api = UFFD_API;
        api.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED;
        if (ioctl(tracker->fault_fd_, UFFDIO_API, &api) != 0)
            return kernel_error("track writes (Linux 6.7 and later do)");
        // One for all: a worker may open nothing any more when it gets its second machine.
        static const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        tracker->pagemap_fd_ = pagemap;
        if (pagemap < 0)
            return kernel_error("open the page map");
        tracker->quiet_.resize(reserved_bytes / page_bytes / chunk_pages + 1);
        return tracker;
    }

    explicit KernelTracker(std::byte* base)
        : base_(base)
    {
    }
    ~KernelTracker() override
    {
        if (fault_fd_ >= 0)
            close(fault_fd_);
    }
    KernelTracker(const KernelTracker&) = delete;
    KernelTracker& operator=(const KernelTracker&) = delete;

    Tracker kind() const noexcept override { return Tracker::kernel; }

    Openness openness(std::uint64_t page) const noexcept override
    {
        const auto chunk = page / chunk_pages;
        return {quiet_[chunk] != closed_chunk, (chunk + 1) * chunk_pages};
    }
    PageRange write(std::uint64_t page) noexcept override
    {
        const auto chunk = page / chunk_pages;
        if (quiet_[chunk] != closed_chunk)
            return {};
        quiet_[chunk] = 0;
        return {chunk * chunk_pages, chunk_pages};
    }

    // A fresh mapping needs no arming: what was not written since is no private copy, see scan().
    Result<PageRange> track(PageRange range) override
    {
        uffdio_register request{};
        request.range = {address(range.first), range.count * page_bytes};
        request.mode = UFFDIO_REGISTER_MODE_WP;
        if (ioctl(fault_fd_, UFFDIO_REGISTER, &request) != 0)
            return kernel_error("track a range of memory");
        PageRange opened;
        for (auto chunk = range.first / chunk_pages; chunk <= (end_of(range) - 1) / chunk_pages; ++chunk) {
            if (std::exchange(quiet_[chunk], std::uint8_t{0}) != closed_chunk)
                continue;
            if (opened.count == 0)
                opened.first = chunk * chunk_pages;
            opened.count = (chunk + 1) * chunk_pages - opened.first;
        }
        return opened;
    }
    Result<void> written(PageRange range, std::vector<PageRange>& found) const override
    {
        return scan_open(range, check_async, found);
    }
    // Listed and armed in one walk.
    Result<void> take(PageRange range, std::vector<PageRange>& found, std::vector<PageRange>&) override
    {
        return scan_open(range, check_async | protect_matching, found);
    }
    Result<void> arm(std::span<const PageRange> runs, std::vector<PageRange>&) override
    {
        for (const auto& run : runs)
            TRY_OK(scan(run, check_async | protect_matching, nullptr));
        return {};
    }
    void settle(std::span<const std::uint64_t> written, std::uint64_t pages, std::vector<PageRange>& closed) override
    {
        const auto chunks = (pages + chunk_pages - 1) / chunk_pages;
        if (chunks <= few_chunks)
            return;
        const auto* next = written.data();
        const auto* const end = next + written.size();
        for (std::uint64_t chunk = 0; chunk < chunks; ++chunk) {
            auto& quiet = quiet_[chunk];
            const auto stop = (chunk + 1) * chunk_pages;
            const bool used = next != end && *next < stop;
            next = std::lower_bound(next, end, stop);
            if (used)
                quiet = 0;
            else if (quiet != closed_chunk) {
                ++quiet;
                if (quiet >= patience) {
                    quiet = closed_chunk;
                    closed.push_back({chunk * chunk_pages, chunk_pages});
                }
            }
        }
    }

private:
    std::uint64_t address(std::uint64_t page) const { return reinterpret_cast<std::uint64_t>(base_) + page * page_bytes; }

    Result<void> scan_open(PageRange range, std::uint64_t flags, std::vector<PageRange>& found) const
    {
        for (auto page = range.first; page < end_of(range);) {
            const auto [open, until] = openness(page);
            const auto stop = std::min(until, end_of(range));
            if (open)
                TRY_OK(scan({page, stop - page}, flags, &found));
            page = stop;
        }
        return {};
    }
    /// Walks the range in as many calls as its written ranges need.
    Result<void> scan(PageRange range, std::uint64_t flags, std::vector<PageRange>* found) const
    {
        std::array<ScannedRange, 512> ranges;
        ScanRequest request{};
        request.size = sizeof request;
        request.flags = flags;
        request.start = address(range.first);
        request.end = address(range.first + range.count);
        request.vec = reinterpret_cast<std::uint64_t>(ranges.data());
        request.vec_len = std::min<std::uint64_t>(ranges.size(), range.count / 2 + 1);  // the kernel allocates as many
        // To the kernel, what was never armed counts as written, even where nothing is. What the guest wrote is a private
        // copy, somewhere, and no page of the file behind.
        request.category_mask = page_is_written | page_is_file;
        request.category_inverted = page_is_file;
        request.category_anyof_mask = page_is_present | page_is_swapped;
        request.return_mask = page_is_written;
        while (request.start < request.end) {
            const auto count = ioctl(pagemap_fd_, pagemap_scan, &request);
            if (count < 0) {
                if (errno == EINTR)
                    continue;
                return kernel_error("list written pages");
            }
            if (found)
                for (const auto& one : std::span(ranges).first(static_cast<std::size_t>(count)))
                    found->push_back({(one.start - address(0)) / page_bytes, (one.end - one.start) / page_bytes});
            if (request.walk_end <= request.start)
                break;
            request.start = request.walk_end;
        }
        return {};
    }

    std::byte* base_;
    int fault_fd_ = -1;
    int pagemap_fd_ = -1;
    std::vector<std::uint8_t> quiet_;  ///< per chunk: commits since its last write, or closed_chunk
};

// ---- write protection and SIGSEGV: for kernels before 6.7.

/// Pages, each at most once. There is room for all of them from the beginning: one is added in a signal's handler, which must
/// not ask the heap.
class PageList {
public:
    PageList() = default;
    static Result<PageList> reserve(std::uint64_t pages)
    {
        PageList list;
        TRY(list.room_, SparseBytes::reserve(pages * sizeof(std::uint64_t)));
        return list;
    }
    void add(std::uint64_t page) noexcept { first()[count_++] = page; }
    std::span<std::uint64_t> all() const noexcept { return {first(), count_}; }
    template <class Gone> void erase_if(const Gone& gone) { count_ -= std::ranges::remove_if(all(), gone).size(); }

private:
    std::uint64_t* first() const noexcept { return reinterpret_cast<std::uint64_t*>(room_.data()); }
    SparseBytes room_;
    std::size_t count_ = 0;
};

class FaultTracker final : public DirtyTracker {
public:
    static Result<std::unique_ptr<DirtyTracker>> create(std::uint64_t reserved_bytes)
    {
        auto tracker = std::make_unique<FaultTracker>();
        const auto pages = reserved_bytes / page_bytes + 1;
        TRY(tracker->open_, SparseBytes::reserve(pages));
        TRY(tracker->list_, PageList::reserve(pages));
        return tracker;
    }

    Tracker kind() const noexcept override { return Tracker::fault; }
    Openness openness(std::uint64_t page) const noexcept override { return {open_[page] != 0, page + 1}; }
    PageRange write(std::uint64_t page) noexcept override
    {
        if (std::exchange(open_[page], std::uint8_t{1}) != 0)
            return {};
        list_.add(page);
        return {page, 1};
    }
    Result<PageRange> track(PageRange range) override
    {
        list_.erase_if([&](std::uint64_t page) {
            const bool inside = page >= range.first && page < end_of(range);
            if (inside)
                open_[page] = 0;
            return inside;
        });
        return PageRange{};
    }
    Result<void> written(PageRange range, std::vector<PageRange>& found) const override
    {
        const auto pages = list_.all();
        std::ranges::sort(pages);
        for (auto at = std::ranges::lower_bound(pages, range.first); at != pages.end() && *at < end_of(range); ++at)
            add(found, *at);
        return {};
    }
    Result<void> arm(std::span<const PageRange> runs, std::vector<PageRange>& closed) override
    {
        for (const auto& run : runs) {
            for (auto page = run.first; page < end_of(run); ++page)
                open_[page] = 0;
            closed.push_back(run);
        }
        list_.erase_if([&](std::uint64_t page) { return open_[page] == 0; });
        return {};
    }

private:
    SparseBytes open_;  ///< a byte per page
    PageList list_;  ///< pages that are open
};

// ---- comparison with the last commit.

class CompareTracker final : public DirtyTracker {
public:
    CompareTracker(std::byte* base, Committed committed)
        : base_(base)
        , committed_(std::move(committed))
    {
    }

    Tracker kind() const noexcept override { return Tracker::compare; }
    Openness openness(std::uint64_t) const noexcept override { return {}; }
    PageRange write(std::uint64_t) noexcept override { return {}; }
    Result<PageRange> track(PageRange) override { return PageRange{}; }
    Result<void> written(PageRange range, std::vector<PageRange>& found) const override
    {
        std::array<std::byte, page_bytes> before;
        for (std::uint64_t page = range.first; page < end_of(range); ++page) {
            TRY_OK(committed_(page, before));
            if (std::memcmp(before.data(), base_ + page * page_bytes, page_bytes) != 0)
                add(found, page);
        }
        return {};
    }
    Result<void> arm(std::span<const PageRange>, std::vector<PageRange>&) override { return {}; }

private:
    std::byte* base_;
    Committed committed_;
};

}  // namespace

Result<std::unique_ptr<DirtyTracker>> DirtyTracker::create(
    Tracker kind, std::byte* base, std::uint64_t reserved_bytes, Committed committed)
{
    switch (kind) {
    case Tracker::automatic:
        if (auto tracker = KernelTracker::create(base, reserved_bytes))
            return tracker;
        return FaultTracker::create(reserved_bytes);
    case Tracker::kernel: return KernelTracker::create(base, reserved_bytes);
    case Tracker::fault: return FaultTracker::create(reserved_bytes);
    case Tracker::compare: return std::make_unique<CompareTracker>(base, std::move(committed));
    }
    return fail(errors::kernel, "there is no such tracker");
}

}  // namespace altiplano::memory
