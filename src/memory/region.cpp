// Talks to the kernel about memory: mappings, memory files, page protection. That is this room's job.
//
// What was committed lies in files: those of an image that were shown, and for every other page, and for whatever was
// committed since, a memory file (memfd). The region maps them privately, so the guest's writes go to copies that only
// this mapping sees. A commit writes dirty pages to the memory file; a roll-back drops the copies, or copies back what
// the memory file has over an image's page. No page ever gets a mapping of its own: vm.max_map_count is 65530.
#include "memory/region.hpp"

#include "memory/dirty.hpp"
#include "memory/faults.hpp"
#include "memory/kernel.hpp"
#include "memory/sparse_bytes.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace altiplano::memory {

namespace {

constexpr std::uint64_t checks_max = 32768;  // ranges that are checked as one; each may need a mapping of its own
constexpr std::uint64_t check_pages_min = 16;  // what one group of page hashes covers
constexpr std::uint8_t hot = 4;  // commits in a row that changed a page, before it is no longer watched
constexpr std::uint64_t released_run = 256;  // pages; a longer run of cold ones is kept once, in the memory file
constexpr std::uint64_t forgotten_run = 16;  // pages; a longer run that became zero, or was written with zeros, is kept nowhere

// What we note of a page.
constexpr std::uint8_t in_delta = 1;  ///< committed since its image: the memory file has it
constexpr std::uint8_t unsaved = 2;

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

Result<std::shared_ptr<const Descriptor>> duplicate(int descriptor)
{
    auto copy = std::make_shared<const Descriptor>(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (copy->number() < 0)
        return kernel_error("duplicate a descriptor");
    return copy;
}

Result<void> write_all(int descriptor, Bytes bytes, std::uint64_t offset)
{
    while (!bytes.empty()) {
        const auto put = pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return kernel_error("fill a memory file");
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
    return {};
}

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
    PageRange pages() const { return {range.at / page_bytes, range.length / page_bytes}; }
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

bool whole_pages(std::uint64_t bytes)
{
    return bytes % page_bytes == 0;
}

PageRange cut(PageRange range, std::uint64_t first, std::uint64_t stop)
{
    first = std::max(first, range.first);
    stop = std::min(stop, end_of(range));
    return {first, stop > first ? stop - first : 0};
}

}  // namespace

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

    SparseBytes notes;  ///< per page: in_delta, unsaved
    std::vector<std::uint64_t> unsaved_list;
    SparseBytes heat;  ///< per page: commits in a row that changed it
    std::vector<std::uint64_t> heated;  ///< ascending pages with any heat
    std::byte* delta_view = nullptr;  ///< the memory file, shared, once there are hot pages: they go there without a system call

    PageCheck* check = nullptr;
    std::uint64_t check_pages = check_pages_min;
    SparseBytes unchecked;  ///< per `check_pages` pages: nobody has seen them yet
    std::vector<PageRange> put_pages;  ///< until `settle`
    bool damaged = false;
    WatchedRange watched;

    Private() = default;
    Private(const Private&) = delete;
    Private& operator=(const Private&) = delete;
    ~Private()
    {
        watched = {};
        tracker.reset();
        if (base)
            munmap(base, reserved);
        if (delta_view)
            munmap(delta_view, reserved);
        if (delta >= 0)
            close(delta);
    }

    std::uint64_t pages() const { return length / page_bytes; }
    std::byte* at(std::uint64_t page) const { return base + page * page_bytes; }
    bool is_unchecked(std::uint64_t page) const { return check != nullptr && unchecked[page / check_pages] != 0; }
    const Mapping* mapping_from(std::uint64_t page) const;
    template <class Visit> Result<void> by_backing(PageRange range, const Visit& visit) const;
    Result<void> map_backing(PageRange range);
    Result<void> show_committed(PageRange range);
    Result<void> copy_back(PageRange range);
    Result<void> read_committed(std::uint64_t page, std::span<std::byte> into) const;
    Result<void> show_item(const Mapping& mapping);
    void describe_mappings();
    std::vector<PageRange> ordinary(PageRange within) const;
    Result<std::vector<PageRange>> dirty_ranges() const;

    Result<void> protect(PageRange range);
    bool examine(std::uint64_t page);
    Result<void> examine_all(PageRange range);
    bool mend(std::uintptr_t address, bool last_chance) noexcept override;
    void note_unsaved(std::uint64_t page, std::uint8_t also);
    Result<void> keep(PageRange run);
    void warm(std::span<const std::uint64_t> dirty, const std::vector<bool>& changed);
    Result<void> arm(std::span<const std::uint64_t> dirty);
};

// ---- where committed bytes lie

/// The mapping that holds `page`, or else the next one.
const Mapping* Region::Private::mapping_from(std::uint64_t page) const
{
    const auto found = std::ranges::upper_bound(mappings, page * page_bytes, {}, [](const Mapping& one) { return one.end(); });
    return found == mappings.end() ? nullptr : &*found;
}

/// Visits pieces of `range`, each with one backing.
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

/// Files over the range, private, tracked, as nothing had been written since the image.
Result<void> Region::Private::map_backing(PageRange range)
{
    if (range.count == 0)
        return {};
    const int prot = tracker->kind() == Tracker::fault ? PROT_READ : PROT_READ | PROT_WRITE;
    TRY_OK(by_backing(range, [&](const Backing& piece) -> Result<void> {
        if (mmap(at(piece.pages.first), piece.pages.count * page_bytes, prot, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                piece.file ? piece.file->number() : delta, static_cast<off_t>(piece.file_offset))
            == MAP_FAILED)
            return kernel_error(fmt::format("map {} bytes of memory", piece.pages.count * page_bytes));
        return {};
    }));
    TRY(const auto opened, tracker->track(range));
    return protect(opened);
}

/// The same as of the last commit.
Result<void> Region::Private::show_committed(PageRange range)
{
    TRY_OK(map_backing(range));
    return copy_back(range);
}

/// Puts what the memory file has over pages of images.
Result<void> Region::Private::copy_back(PageRange range)
{
    return by_backing(range, [&](const Backing& piece) -> Result<void> {
        if (!piece.file)
            return {};
        for (auto page = piece.pages.first; page < end_of(piece.pages); ++page) {
            if ((notes[page] & in_delta) == 0)
                continue;
            if (const auto opened = tracker->write(page); opened.count != 0)
                TRY_OK(protect(opened));
            if (pread(delta, at(page), page_bytes, static_cast<off_t>(page * page_bytes)) != static_cast<ssize_t>(page_bytes))
                return kernel_error("read a memory file");
        }
        return {};
    });
}

Result<void> Region::Private::read_committed(std::uint64_t page, std::span<std::byte> into) const
{
    return by_backing({page, 1}, [&](const Backing& piece) -> Result<void> {
        const bool from_image = piece.file && (notes[page] & in_delta) == 0;
        const auto offset = from_image ? piece.file_offset : page * page_bytes;
        const auto got = pread(from_image ? piece.file->number() : delta, into.data(), into.size(), static_cast<off_t>(offset));
        if (got != static_cast<ssize_t>(into.size()))
            return kernel_error("read committed memory");
        return {};
    });
}

Result<void> Region::Private::show_item(const Mapping& mapping)
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
std::vector<PageRange> Region::Private::ordinary(PageRange within) const
{
    std::vector<PageRange> found;
    auto page = within.first;
    const auto stop = std::min(end_of(within), pages());
    for (const auto* mapping = mapping_from(page); mapping != nullptr && mapping != mappings.data() + mappings.size();
        ++mapping) {
        if (mapping->pages().first >= stop)
            break;
        if (mapping->pages().first > page)
            found.push_back({page, mapping->pages().first - page});
        page = end_of(mapping->pages());
    }
    if (page < stop)
        found.push_back({page, stop - page});
    return found;
}

/// Written or replaced since the last commit; may overlap.
Result<std::vector<PageRange>> Region::Private::dirty_ranges() const
{
    auto found = replaced;
    for (const auto& range : ordinary({0, pages()})) {
        TRY_OK(tracker->written(range, found));
    }
    return found;
}

// ---- who may touch what, and the first touch

/// Gives every page of the range the permissions that it should have.
Result<void> Region::Private::protect(PageRange range)
{
    const auto stop = std::min(end_of(range), pages());
    PageRange run{range.first, 0};
    int run_prot = PROT_NONE;
    const auto apply = [&]() -> Result<void> {
        if (run.count != 0 && mprotect(at(run.first), run.count * page_bytes, run_prot) != 0)
            return kernel_error("protect pages");
        return {};
    };
    const auto* mapping = mapping_from(range.first);
    for (auto page = range.first; page < stop;) {
        auto until = stop;
        int prot = PROT_NONE;
        if (is_unchecked(page)) {
            // All the chunks in a row at once: a state that comes back is nothing else.
            const auto* const first = &unchecked[page / check_pages];
            const auto chunks = (stop - 1) / check_pages + 1 - page / check_pages;
            const auto* const seen = static_cast<const std::uint8_t*>(std::memchr(first, 0, chunks));
            if (seen != nullptr)
                until = std::min(until, (page / check_pages + static_cast<std::uint64_t>(seen - first)) * check_pages);
        } else {
            if (check != nullptr)
                until = std::min(until, (page / check_pages + 1) * check_pages);
            while (mapping != nullptr && end_of(mapping->pages()) <= page)
                mapping = mapping_from(page);
            if (mapping != nullptr && mapping->pages().first <= page) {
                prot = PROT_READ;
                until = std::min(until, end_of(mapping->pages()));
            } else {
                if (mapping != nullptr)
                    until = std::min(until, mapping->pages().first);
                const auto openness = tracker->openness(page);
                prot = openness.open ? PROT_READ | PROT_WRITE : PROT_READ;
                until = std::min(until, openness.until);
            }
        }
        if (run.count != 0 && prot != run_prot) {
            TRY_OK(apply());
            run = {page, 0};
        }
        run_prot = prot;
        run.count = until - run.first;
        page = until;
    }
    return apply();
}

/// Looks at the pages that are checked together with `page`. @return whether they are what they should be
bool Region::Private::examine(std::uint64_t page)
{
    const auto chunk = page / check_pages;
    const auto range = cut({chunk * check_pages, check_pages}, 0, pages());
    if (mprotect(at(range.first), range.count * page_bytes, PROT_READ) != 0)
        return false;
    if (!check->check_pages(range.first, {at(range.first), range.count * page_bytes})) {
        damaged = true;
        (void)mprotect(at(range.first), range.count * page_bytes, PROT_NONE);
        return false;
    }
    unchecked[chunk] = 0;
    return protect(range).has_value();
}

Result<void> Region::Private::examine_all(PageRange range)
{
    for (auto page = range.first; check != nullptr && page < end_of(range); page = (page / check_pages + 1) * check_pages)
        if (is_unchecked(page) && !examine(page))
            return fail(errors::bad_image,
                fmt::format("the memory image has other bytes than were saved, in or near page {}", page),
                "images are caches: delete it, the log rebuilds it");
    return {};
}

bool Region::Private::mend(std::uintptr_t address, bool last_chance) noexcept
{
    const auto page = (address - reinterpret_cast<std::uintptr_t>(base)) / page_bytes;
    if (page >= pages())
        return false;
    if (is_unchecked(page)) {
        if (examine(page))
            return true;
        // Wasmtime makes a trap of it. If it was no guest code that looked, it goes on, and what comes of it is thrown away.
        if (!damaged || !last_chance)
            return false;
        unchecked[page / check_pages] = 0;
        return protect({page / check_pages * check_pages, check_pages}).has_value();
    }
    if (const auto* mapping = mapping_from(page); mapping != nullptr && mapping->pages().first <= page)
        return false;
    const auto opened = tracker->write(page);
    return opened.count != 0 && protect(opened);
}

// ---- what a commit notes

void Region::Private::note_unsaved(std::uint64_t page, std::uint8_t also)
{
    auto& note = notes[page];
    if ((note & unsaved) == 0)
        unsaved_list.push_back(page);
    note |= unsaved | also;
}

/// Pages as they are now into the memory file. Hot ones are copied there; what that costs in memory was paid by the commits
/// before.
Result<void> Region::Private::keep(PageRange run)
{
    for (auto page = run.first; page < end_of(run);) {
        const auto first = page;
        const bool is_hot = heat[page] >= hot;
        while (page < end_of(run) && (heat[page] >= hot) == is_hot)
            ++page;
        const auto bytes = (page - first) * page_bytes;
        if (!is_hot) {
            TRY_OK(write_all(delta, {at(first), bytes}, first * page_bytes));
            continue;
        }
        if (delta_view == nullptr) {
            void* view = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, delta, 0);
            if (view == MAP_FAILED)
                return kernel_error("map a memory file");
            delta_view = static_cast<std::byte*>(view);
        }
        std::memcpy(delta_view + first * page_bytes, at(first), bytes);
    }
    return {};
}

/// A page that every commit changes is hashed every time anyway: watching it as well only costs.
void Region::Private::warm(std::span<const std::uint64_t> dirty, const std::vector<bool>& changed)
{
    auto old = heated.begin();
    std::vector<std::uint64_t> now;
    now.reserve(dirty.size());
    for (std::size_t i = 0; i < dirty.size(); ++i) {
        const auto page = dirty[i];
        for (; old != heated.end() && *old < page; ++old)
            heat[*old] = 0;
        if (old != heated.end() && *old == page)
            ++old;
        auto& degrees = heat[page];
        degrees = changed[i] ? static_cast<std::uint8_t>(std::min<int>(degrees + 1, hot)) : std::uint8_t{0};
        if (degrees != 0)
            now.push_back(page);
    }
    for (; old != heated.end(); ++old)
        heat[*old] = 0;
    heated = std::move(now);
}

/// Watches all dirty pages again but the hot ones.
Result<void> Region::Private::arm(std::span<const std::uint64_t> dirty)
{
    std::vector<PageRange> runs;
    for (const auto page : dirty) {
        if (heat[page] >= hot)
            continue;
        if (!runs.empty() && end_of(runs.back()) == page)
            ++runs.back().count;
        else
            runs.push_back({page, 1});
    }
    std::vector<PageRange> watchable;
    if (mappings.empty())
        watchable = std::move(runs);
    else
        for (const auto& run : runs)
            std::ranges::copy(ordinary(run), std::back_inserter(watchable));
    std::vector<PageRange> closed;
    TRY_OK(tracker->arm(watchable, closed));
    tracker->settle(dirty, pages(), closed);
    for (const auto& range : closed)
        TRY_OK(protect(range));
    return {};
}

// ---- the region

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
    mine.delta = memfd_create("altiplano-memory", MFD_CLOEXEC);
    if (mine.delta < 0)
        return kernel_error("make a memory file");
    const auto pages = reserved_bytes / page_bytes;
    TRY(mine.notes, SparseBytes::reserve(pages));
    TRY(mine.heat, SparseBytes::reserve(pages));
    TRY(mine.unchecked, SparseBytes::reserve(pages / check_pages_min + 1));
    TRY(mine.tracker,
        DirtyTracker::create(tracker, mine.base, reserved_bytes,
            [&mine](std::uint64_t page, std::span<std::byte> into) { return mine.read_committed(page, into); }));
    TRY(mine.watched, WatchedRange::watch(mine.base, reserved_bytes, mine));
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
bool Region::damaged() const noexcept
{
    return private_->damaged;
}
const std::vector<std::uint64_t>& Region::unsaved_pages() const noexcept
{
    return private_->unsaved_list;
}
std::size_t Region::hot_pages() const noexcept
{
    return static_cast<std::size_t>(
        std::ranges::count_if(private_->heated, [&](std::uint64_t page) { return private_->heat[page] >= hot; }));
}
void Region::saved() noexcept
{
    for (const auto page : std::exchange(private_->unsaved_list, {}))
        private_->notes[page] &= static_cast<std::uint8_t>(~unsaved);
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
    // Pages that are checked together are checked before some of them can be written.
    if (mine.length != 0)
        TRY_OK(mine.examine_all({mine.pages() - 1, 1}));
    if (ftruncate(mine.delta, static_cast<off_t>(length_bytes)) != 0)
        return kernel_error("make a memory file longer");
    const auto before = std::exchange(mine.length, length_bytes);
    const PageRange added{before / page_bytes, (length_bytes - before) / page_bytes};
    if (auto shown = mine.map_backing(added); !shown) {
        mine.length = before;
        return shown;
    }
    return {};
}

bool Region::is_mapped(std::uint64_t page) const noexcept
{
    const auto* mapping = private_->mapping_from(page);
    return mapping != nullptr && mapping->pages().first <= page;
}

bool Region::is_writable(std::uint64_t at, std::uint64_t length) const noexcept
{
    const auto& mine = *private_;
    if (at > mine.length || length > mine.length - at)
        return false;
    const auto* mapping = mine.mapping_from(at / page_bytes);
    return mapping == nullptr || at + length <= mapping->range.at || length == 0;
}

Result<void> Region::prepare_write(std::uint64_t at, std::uint64_t length)
{
    if (length == 0)
        return {};
    auto& mine = *private_;
    const auto first = at / page_bytes;
    const auto stop = (at + length - 1) / page_bytes + 1;
    TRY_OK(mine.examine_all({first, stop - first}));
    for (auto page = first; page < stop;) {
        const auto openness = mine.tracker->openness(page);
        if (!openness.open)
            TRY_OK(mine.protect(mine.tracker->write(page)));
        page = openness.open ? openness.until : page + 1;
    }
    return {};
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
    const PageRange pages{at / page_bytes, pages_length / page_bytes};
    TRY_OK(mine.examine_all(pages));
    TRY(auto file, duplicate(descriptor));
    const Mapping mapping{{at, pages_length, item, item_offset}, std::move(file), file_offset};
    TRY_OK(mine.show_item(mapping));
    mine.mappings.insert(
        std::ranges::upper_bound(mine.mappings, at, {}, [](const Mapping& other) { return other.range.at; }), mapping);
    mine.replaced.push_back(pages);
    mine.describe_mappings();
    return {};
}

Result<void> Region::map_bytes(std::uint64_t at, Bytes bytes, const ItemId& item, std::uint64_t item_offset)
{
    const Descriptor copy(memfd_create("altiplano-item", MFD_CLOEXEC));
    if (copy.number() < 0)
        return kernel_error("make a memory file");
    TRY_OK(write_all(copy.number(), bytes, 0));
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
    for (const auto& range : freed)
        TRY_OK(mine.examine_all(range));
    mine.mappings = std::move(kept);
    mine.describe_mappings();
    for (const auto& range : freed) {
        TRY_OK(mine.map_backing(range));
        mine.replaced.push_back(range);
        // The files still hold what was there before the mapping.
        TRY_OK(prepare_write(range.first * page_bytes, range.count * page_bytes));
        std::memset(mine.at(range.first), 0, range.count * page_bytes);
    }
    return {};
}

Result<void> Region::show(std::span<const Shown> runs, int descriptor)
{
    auto& mine = *private_;
    TRY(const auto file, duplicate(descriptor));
    for (const auto& [pages, file_offset] : runs) {
        if (pages.count == 0 || pages.count > mine.pages() || pages.first > mine.pages() - pages.count
            || !whole_pages(file_offset) || mine.check != nullptr)
            return fail(
                errors::bad_range, fmt::format("{} pages from {} are none of a memory to be filled", pages.count, pages.first));
        const Backing added{pages, file, file_offset};
        if (mine.images.empty() || end_of(mine.images.back().pages) <= pages.first) {
            mine.images.push_back(added);
        } else {
            std::vector<Backing> kept;
            for (const auto& one : mine.images) {
                if (one.pages.first < pages.first)
                    kept.push_back(one.part(one.pages.first, std::min(end_of(one.pages), pages.first)));
                if (end_of(one.pages) > end_of(pages))
                    kept.push_back(one.part(std::max(one.pages.first, end_of(pages)), end_of(one.pages)));
            }
            kept.insert(
                std::ranges::upper_bound(kept, pages.first, {}, [](const Backing& one) { return one.pages.first; }), added);
            mine.images = std::move(kept);
        }
        for (const auto& put : mine.put_pages) {
            const auto covered = cut(put, pages.first, end_of(pages));
            for (auto page = covered.first; page < end_of(covered); ++page)
                mine.notes[page] = 0;
        }
        TRY_OK(mine.map_backing(pages));
    }
    return {};
}

Result<void> Region::put(std::uint64_t page, Bytes bytes)
{
    auto& mine = *private_;
    if (page >= mine.pages() || bytes.size() != page_bytes || mine.check != nullptr)
        return fail(errors::bad_range, fmt::format("page {} is none of a memory to be filled", page));
    TRY_OK(write_all(mine.delta, bytes, page * page_bytes));
    mine.notes[page] |= in_delta;
    TRY_OK(mine.copy_back({page, 1}));
    if (!mine.put_pages.empty() && end_of(mine.put_pages.back()) == page)
        ++mine.put_pages.back().count;
    else
        mine.put_pages.push_back({page, 1});
    return {};
}

Result<void> Region::settle(PageCheck& check)
{
    auto& mine = *private_;
    auto ranges = std::exchange(mine.put_pages, {});
    std::vector<PageRange> closed;
    for (const auto& range : ranges)
        TRY_OK(mine.tracker->arm(mine.ordinary(range), closed));
    for (const auto& one : mine.images)
        ranges.push_back(one.pages);
    for (const auto& mapping : mine.mappings)
        ranges.push_back(mapping.pages());
    std::uint64_t pages = 0;
    for (const auto& range : ranges)
        pages += range.count;
    mine.check_pages = check_pages_min;
    while (pages / mine.check_pages > checks_max)
        mine.check_pages *= 2;
    mine.check = &check;
    for (const auto& range : ranges) {
        const auto first = range.first / mine.check_pages;
        const auto stop = (end_of(range) - 1) / mine.check_pages + 1;
        std::memset(&mine.unchecked[first], 1, stop - first);
        TRY_OK(mine.protect({first * mine.check_pages, (stop - first) * mine.check_pages}));
    }
    mine.committed_length = mine.length;
    mine.committed_mappings = mine.mappings;
    mine.replaced.clear();
    saved();
    return {};
}

Result<std::vector<std::uint64_t>> Region::dirty_pages() const
{
    TRY(const auto ranges, private_->dirty_ranges());
    std::vector<std::uint64_t> pages;
    for (const auto& range : ranges)
        for (std::uint64_t i = 0; i < range.count; ++i)
            pages.push_back(range.first + i);
    if (!std::ranges::is_sorted(pages))
        std::ranges::sort(pages);
    const auto doubles = std::ranges::unique(pages);
    pages.erase(doubles.begin(), doubles.end());
    return pages;
}

Result<void> Region::commit()
{
    TRY(const auto dirty, dirty_pages());
    return commit(dirty, std::vector<bool>(dirty.size(), true));
}

Result<void> Region::commit(std::span<const std::uint64_t> dirty, const std::vector<bool>& changed)
{
    auto& mine = *private_;
    // A hole of the memory file is zero as well, where no image lies behind.
    std::vector<std::uint64_t> zero;
    for (const auto page : dirty)
        if (page < mine.pages() && !is_mapped(page) && is_zero({mine.at(page), page_bytes}))
            zero.push_back(page);
    std::vector<PageRange> forgotten;
    for (const auto& run : runs_of(zero))
        if (run.count >= forgotten_run)
            TRY_OK(mine.by_backing(run, [&](const Backing& piece) -> Result<void> {
                if (!piece.file)
                    forgotten.push_back(piece.pages);
                return {};
            }));
    const auto is_forgotten = [&](std::uint64_t page) {
        const auto after = std::ranges::upper_bound(forgotten, page, {}, &PageRange::first);
        return after != forgotten.begin() && page < end_of(*std::prev(after));
    };
    // Pages of items count as unsaved for the sake of their hashes; their bytes are the items'.
    std::vector<std::uint64_t> written;
    for (std::size_t i = 0; i < dirty.size(); ++i) {
        if (!changed[i])
            continue;
        const bool mapped = !mine.mappings.empty() && is_mapped(dirty[i]);
        mine.note_unsaved(dirty[i], mapped ? 0 : in_delta);
        if (!mapped && !is_forgotten(dirty[i]))
            written.push_back(dirty[i]);
    }
    for (const auto& run : forgotten)
        if (fallocate(mine.delta, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(run.first * page_bytes),
                static_cast<off_t>(run.count * page_bytes))
                != 0
            || madvise(mine.at(run.first), run.count * page_bytes, MADV_DONTNEED) != 0)
            return kernel_error("forget zero pages");
    for (const auto& run : runs_of(written)) {
        TRY_OK(mine.keep(run));
        // The memory file shows behind a copy that is dropped, unless an image does.
        if (run.count >= released_run)
            TRY_OK(mine.by_backing(run, [&](const Backing& piece) -> Result<void> {
                if (!piece.file && madvise(mine.at(piece.pages.first), piece.pages.count * page_bytes, MADV_DONTNEED) != 0)
                    return kernel_error("drop copies of pages");
                return {};
            }));
    }
    // What a mapping hides is no state: after an unmapping its pages are zero.
    if (!mine.replaced.empty())
        for (const auto& mapping : mine.mappings) {
            if (fallocate(mine.delta, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(mapping.range.at),
                    static_cast<off_t>(mapping.range.length))
                != 0)
                return kernel_error("forget pages under a mapping");
            TRY_OK(mine.by_backing(mapping.pages(), [&](const Backing& piece) -> Result<void> {
                for (auto page = piece.pages.first; piece.file && page < end_of(piece.pages); ++page)
                    mine.notes[page] |= in_delta;
                return {};
            }));
        }
    mine.warm(dirty, changed);
    TRY_OK(mine.arm(dirty));
    mine.committed_length = mine.length;
    mine.committed_mappings = mine.mappings;
    mine.replaced.clear();
    return {};
}

Result<void> Region::roll_back()
{
    auto& mine = *private_;
    TRY(const auto dirty, dirty_pages());
    const auto kept_pages = mine.committed_length / page_bytes;
    if (mine.length > mine.committed_length) {
        const auto extra = mine.length - mine.committed_length;
        if (mmap(mine.base + mine.committed_length, extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                0)
                == MAP_FAILED
            || ftruncate(mine.delta, static_cast<off_t>(mine.committed_length)) != 0)
            return kernel_error("give memory back");
        mine.length = mine.committed_length;
    }
    mine.mappings = mine.committed_mappings;
    mine.describe_mappings();
    for (const auto& range : std::exchange(mine.replaced, {})) {
        TRY_OK(mine.show_committed(cut(range, 0, kept_pages)));
        for (const auto& mapping : mine.mappings)
            if (const auto part = cut(mapping.pages(), range.first, end_of(range)); part.count != 0)
                TRY_OK(mine.show_item(mapping.part(part.first * page_bytes, end_of(part) * page_bytes)));
    }
    std::vector<std::uint64_t> kept(dirty.begin(), std::ranges::lower_bound(dirty, kept_pages));
    for (const auto& run : runs_of(kept))
        for (const auto& range : mine.ordinary(run)) {
            if (madvise(mine.at(range.first), range.count * page_bytes, MADV_DONTNEED) != 0)
                return kernel_error("drop copies of pages");
            TRY_OK(mine.copy_back(range));
        }
    return mine.arm(kept);
}

}  // namespace altiplano::memory
