// Talks to the kernel about memory: mappings, memory files, userfaultfd, the page map. That is this room's job.
//
// The last commit lies in a memory file (memfd). The region maps it privately, so the guest's writes go to copies that
// only this mapping sees; a commit writes the dirty pages through to the file, a roll-back drops the copies.
#include "memory/region.hpp"

#include "memory/dirty.hpp"
#include "memory/errors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace altiplano::memory {

namespace {

std::unexpected<Error> kernel_error(std::string_view doing)
{
    return fail(errors::kernel, fmt::format("the kernel refused to {}: {}", doing, std::generic_category().message(errno)));
}

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

/// A mapped range and the file that shows in it.
struct Mapping {
    MappedRange range;
    std::shared_ptr<const Descriptor> file;
    std::uint64_t file_offset = 0;

    std::uint64_t end() const { return range.at + range.length; }
    /// The part of it in [begin, stop).
    Mapping part(std::uint64_t begin, std::uint64_t stop) const
    {
        const auto skipped = begin - range.at;
        return {{begin, stop - begin, range.item, range.item_offset + skipped}, file, file_offset + skipped};
    }
};

bool whole_pages(std::uint64_t bytes)
{
    return bytes % page_bytes == 0;
}

}  // namespace

struct Region::Private {
    std::byte* base = nullptr;
    std::uint64_t reserved = 0;
    std::uint64_t length = 0;
    std::uint64_t committed_length = 0;
    int committed_file = -1;
    std::unique_ptr<DirtyTracker> tracker;
    std::vector<Mapping> mappings;  ///< ascending, apart
    std::vector<Mapping> committed_mappings;
    std::vector<MappedRange> ranges;  ///< what `mappings` says to the world
    std::vector<PageRange> replaced;  ///< mapped or unmapped since the last commit

    ~Private()
    {
        tracker.reset();
        if (base)
            munmap(base, reserved);
        if (committed_file >= 0)
            close(committed_file);
    }
    Private() = default;
    Private(const Private&) = delete;
    Private& operator=(const Private&) = delete;

    Result<void> show_committed(std::uint64_t at, std::uint64_t bytes);
    Result<void> show(const Mapping& mapping);
    void describe_mappings();
    std::vector<PageRange> ordinary() const;
    Result<std::vector<PageRange>> dirty_ranges() const;
};

/// The memory file over [at, at + bytes), private and tracked.
Result<void> Region::Private::show_committed(std::uint64_t at, std::uint64_t bytes)
{
    if (bytes == 0)
        return {};
    if (mmap(base + at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, committed_file,
            static_cast<off_t>(at))
        == MAP_FAILED)
        return kernel_error(fmt::format("map {} bytes of memory", bytes));
    return tracker->track({at / page_bytes, bytes / page_bytes});
}

Result<void> Region::Private::show(const Mapping& mapping)
{
    if (mmap(base + mapping.range.at, mapping.range.length, PROT_READ, MAP_PRIVATE | MAP_FIXED, mapping.file->number(),
            static_cast<off_t>(mapping.file_offset))
        == MAP_FAILED)
        return kernel_error(fmt::format("map {} bytes of an item", mapping.range.length));
    return {};
}

void Region::Private::describe_mappings()
{
    ranges.clear();
    for (const auto& mapping : mappings) {
        // Whether an item was mapped in one call or in several leaves no trace in the state.
        if (!ranges.empty()) {
            auto& last = ranges.back();
            if (last.at + last.length == mapping.range.at && last.item == mapping.range.item
                && last.item_offset + last.length == mapping.range.item_offset) {
                last.length += mapping.range.length;
                continue;
            }
        }
        ranges.push_back(mapping.range);
    }
}

/// What is not mapped: the ranges that a tracker watches.
std::vector<PageRange> Region::Private::ordinary() const
{
    std::vector<PageRange> found;
    std::uint64_t from = 0;
    for (const auto& mapping : mappings) {
        if (mapping.range.at > from)
            found.push_back({from / page_bytes, (mapping.range.at - from) / page_bytes});
        from = mapping.end();
    }
    if (from < length)
        found.push_back({from / page_bytes, (length - from) / page_bytes});
    return found;
}

/// Written or replaced since the last commit; may overlap.
Result<std::vector<PageRange>> Region::Private::dirty_ranges() const
{
    auto found = replaced;
    for (const auto& range : ordinary()) {
        TRY_OK(tracker->written(range, found));
    }
    return found;
}

Region::Region()
    : private_(std::make_unique<Private>())
{
}
Region::Region(Region&&) noexcept = default;
Region& Region::operator=(Region&&) noexcept = default;
Region::~Region() = default;

Result<Region> Region::fresh(std::uint64_t reserved_bytes, Tracker tracker)
{
    if (!whole_pages(reserved_bytes) || reserved_bytes == 0)
        return fail(errors::bad_length, fmt::format("{} bytes are not whole pages of {}", reserved_bytes, page_bytes));
    if (reserved_bytes > reserved_bytes_max)
        return fail(errors::over_reservation,
            fmt::format("{} bytes of address space were asked for; at most {} are reserved", reserved_bytes, reserved_bytes_max));
    Region region;
    auto& mine = *region.private_;
    auto* base = mmap(nullptr, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return kernel_error(fmt::format("reserve {} bytes of address space", reserved_bytes));
    mine.base = static_cast<std::byte*>(base);
    mine.reserved = reserved_bytes;
    mine.committed_file = memfd_create("altiplano-memory", MFD_CLOEXEC);
    if (mine.committed_file < 0)
        return kernel_error("make a memory file");
    TRY(mine.tracker, DirtyTracker::create(tracker, mine.base, reserved_bytes, mine.committed_file));
    return region;
}

std::span<std::byte> Region::bytes() noexcept
{
    return {private_->base, private_->length};
}
Bytes Region::bytes() const noexcept
{
    return {private_->base, private_->length};
}
std::uint64_t Region::reserved_bytes() const noexcept
{
    return private_->reserved;
}
Tracker Region::tracker() const noexcept
{
    return private_->tracker->kind();
}
const std::vector<MappedRange>& Region::mapped_ranges() const noexcept
{
    return private_->ranges;
}

Result<void> Region::grow(std::uint64_t length_bytes)
{
    auto& mine = *private_;
    if (!whole_pages(length_bytes) || length_bytes < mine.length)
        return fail(errors::bad_length,
            fmt::format("a region of {} bytes cannot become {}: whole pages, and never less", mine.length, length_bytes));
    if (length_bytes > mine.reserved)
        return fail(
            errors::over_reservation, fmt::format("{} bytes do not fit the {} that are reserved", length_bytes, mine.reserved));
    if (length_bytes == mine.length)
        return {};
    if (ftruncate(mine.committed_file, static_cast<off_t>(length_bytes)) != 0)
        return kernel_error("make a memory file longer");
    TRY_OK(mine.show_committed(mine.length, length_bytes - mine.length));
    mine.length = length_bytes;
    return {};
}

bool Region::is_mapped(std::uint64_t page) const noexcept
{
    const auto at = page * page_bytes;
    return std::ranges::any_of(
        private_->mappings, [&](const Mapping& mapping) { return at >= mapping.range.at && at < mapping.end(); });
}

bool Region::is_writable(std::uint64_t at, std::uint64_t length) const noexcept
{
    const auto& mine = *private_;
    if (at > mine.length || length > mine.length - at)
        return false;
    return std::ranges::none_of(
        mine.mappings, [&](const Mapping& mapping) { return at < mapping.end() && at + length > mapping.range.at; });
}

Result<void> Region::prepare_write(std::uint64_t at, std::uint64_t length)
{
    if (length == 0)
        return {};
    const auto first = at / page_bytes;
    return private_->tracker->expect_write({first, (at + length - 1) / page_bytes - first + 1});
}

Result<void> Region::map(std::uint64_t at, std::uint64_t length, int descriptor, std::uint64_t file_offset, const ItemId& item,
    std::uint64_t item_offset)
{
    auto& mine = *private_;
    const auto pages_length = (length + page_bytes - 1) / page_bytes * page_bytes;
    if (length == 0 || pages_length < length || !whole_pages(at) || !whole_pages(item_offset) || !whole_pages(file_offset)
        || !is_writable(at, pages_length))
        return fail(errors::bad_range,
            fmt::format(
                "{} bytes of an item from {} cannot appear at {}: whole pages inside the memory, not over another mapping",
                length, item_offset, at));
    auto file = std::make_shared<const Descriptor>(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (file->number() < 0)
        return kernel_error("duplicate an item's descriptor");
    const Mapping mapping{{at, pages_length, item, item_offset}, std::move(file), file_offset};
    TRY_OK(mine.show(mapping));
    mine.mappings.insert(
        std::ranges::upper_bound(mine.mappings, at, {}, [](const Mapping& other) { return other.range.at; }), mapping);
    mine.replaced.push_back({at / page_bytes, pages_length / page_bytes});
    mine.describe_mappings();
    return {};
}

Result<void> Region::map_bytes(std::uint64_t at, Bytes bytes, const ItemId& item, std::uint64_t item_offset)
{
    const Descriptor copy(memfd_create("altiplano-item", MFD_CLOEXEC));
    if (copy.number() < 0)
        return kernel_error("make a memory file");
    for (std::size_t done = 0; done < bytes.size();) {
        const auto put = pwrite(copy.number(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return kernel_error("fill a memory file");
        done += static_cast<std::size_t>(put);
    }
    return map(at, bytes.size(), copy.number(), 0, item, item_offset);
}

Result<void> Region::unmap(std::uint64_t at, std::uint64_t length)
{
    auto& mine = *private_;
    if (!whole_pages(at) || !whole_pages(length) || at > mine.length || length > mine.length - at)
        return fail(
            errors::bad_range, fmt::format("{} bytes at {} are not whole pages of the {} usable bytes", length, at, mine.length));
    const auto stop = at + length;
    std::vector<Mapping> kept;
    std::vector<PageRange> freed;
    for (const auto& mapping : mine.mappings) {
        if (mapping.end() <= at || mapping.range.at >= stop) {
            kept.push_back(mapping);
            continue;
        }
        const auto begin = std::max(mapping.range.at, at);
        const auto end = std::min(mapping.end(), stop);
        if (mapping.range.at < begin)
            kept.push_back(mapping.part(mapping.range.at, begin));
        if (end < mapping.end())
            kept.push_back(mapping.part(end, mapping.end()));
        freed.push_back({begin / page_bytes, (end - begin) / page_bytes});
    }
    for (const auto& range : freed) {
        TRY_OK(mine.show_committed(range.first * page_bytes, range.count * page_bytes));
        mine.replaced.push_back(range);
    }
    mine.mappings = std::move(kept);
    mine.describe_mappings();
    // Under a mapping of this very message the file still holds what was there before it.
    for (const auto& range : freed) {
        TRY_OK(mine.tracker->expect_write(range));
        std::memset(mine.base + range.first * page_bytes, 0, range.count * page_bytes);
    }
    return {};
}

Result<std::vector<std::uint64_t>> Region::dirty_pages() const
{
    TRY(const auto ranges, private_->dirty_ranges());
    std::vector<std::uint64_t> pages;
    for (const auto& range : ranges)
        for (std::uint64_t i = 0; i < range.count; ++i)
            pages.push_back(range.first + i);
    std::ranges::sort(pages);
    const auto doubles = std::ranges::unique(pages);
    pages.erase(doubles.begin(), doubles.end());
    return pages;
}

Result<void> Region::commit()
{
    auto& mine = *private_;
    std::vector<PageRange> written;
    for (const auto& range : mine.ordinary()) {
        TRY_OK(mine.tracker->written(range, written));
    }
    for (const auto& range : written) {
        auto at = range.first * page_bytes;
        for (auto left = range.count * page_bytes; left > 0;) {
            const auto put = pwrite(mine.committed_file, mine.base + at, left, static_cast<off_t>(at));
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return kernel_error("keep written pages");
            at += static_cast<std::uint64_t>(put);
            left -= static_cast<std::uint64_t>(put);
        }
    }
    // What a mapping hides is no state: after an unmapping its pages are zero.
    for (const auto& mapping : mine.mappings)
        if (fallocate(mine.committed_file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(mapping.range.at),
                static_cast<off_t>(mapping.range.length))
            != 0)
            return kernel_error("forget pages under a mapping");
    for (const auto& range : mine.ordinary()) {
        TRY_OK(mine.tracker->arm(range));
    }
    mine.committed_length = mine.length;
    mine.committed_mappings = mine.mappings;
    mine.replaced.clear();
    return {};
}

Result<void> Region::roll_back()
{
    auto& mine = *private_;
    TRY(const auto dirty, mine.dirty_ranges());
    for (const auto& range : dirty)
        TRY_OK(mine.show_committed(range.first * page_bytes, range.count * page_bytes));
    if (mine.length > mine.committed_length) {
        const auto extra = mine.length - mine.committed_length;
        if (mmap(mine.base + mine.committed_length, extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                0)
                == MAP_FAILED
            || ftruncate(mine.committed_file, static_cast<off_t>(mine.committed_length)) != 0)
            return kernel_error("give memory back");
        mine.length = mine.committed_length;
    }
    mine.mappings = mine.committed_mappings;
    for (const auto& mapping : mine.mappings)
        TRY_OK(mine.show(mapping));
    mine.describe_mappings();
    mine.replaced.clear();
    for (const auto& range : mine.ordinary()) {
        TRY_OK(mine.tracker->arm(range));
    }
    return {};
}

}  // namespace altiplano::memory
