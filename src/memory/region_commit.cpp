// What was written, kept or forgotten.
#include "memory/region_private.hpp"

#include <atomic>
#include <cstring>
#include <fcntl.h>

namespace altiplano::memory {

namespace {
constexpr std::uint64_t released_run = 256;  // pages; a longer run of cold ones is kept once, in the memory file
constexpr std::uint64_t forgotten_run = 16;  // pages; a longer run that became zero, or was written with zeros, is kept nowhere
}  // namespace

/// Written or replaced since the last commit; may overlap.
Result<std::vector<PageRange>> Region::Private::dirty_ranges() const
{
    auto found = replaced;
    for (const auto page : taken_list)
        found.push_back({page, 1});
    for (const auto& range : ordinary({0, pages()})) {
        TRY_OK(tracker->written(range, found));
    }
    return found;
}

void Region::Private::note_unsaved(std::uint64_t page, std::uint8_t also)
{
    auto& note = notes[page];
    if ((note & unsaved) == 0)
        unsaved_list.push_back(page);
    note |= unsaved | also;
}

Result<void> Region::Private::view_delta()
{
    if (delta_view != nullptr)
        return {};
    void* view = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, delta, 0);
    if (view == MAP_FAILED)
        return kernel_error("map a memory file");
    delta_view = static_cast<std::byte*>(view);
    return {};
}

/// Pages as they are now into the memory file. Scattered ones that it has already are copied there without a call, and so are
/// hot ones; what that costs in memory was paid by the commits before.
Result<void> Region::Private::keep(PageRange run)
{
    const bool scattered = run.count <= kept_by_page;
    const auto is_copied = [&](std::uint64_t page) {
        return heat[page] >= hot || (scattered && (notes[page] & kept_before) != 0);
    };
    for (auto page = run.first; page < end_of(run);) {
        const auto first = page;
        const bool copied = is_copied(page);
        while (page < end_of(run) && is_copied(page) == copied)
            ++page;
        const auto bytes = (page - first) * page_bytes;
        if (!copied) {
            for (auto i = first; i < page; ++i)
                notes[i] |= kept_before;
            TRY_OK(write_all(delta, {at(first), bytes}, first * page_bytes));
            continue;
        }
        TRY_OK(view_delta());
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

/// Watches all dirty pages again but the hot ones. Scattered pages that lie near are watched in one call: what lies between was
/// not written, so watching it changes nothing.
Result<void> Region::Private::arm(std::span<const std::uint64_t> dirty)
{
    std::vector<PageRange> runs;
    bool apart = true;  // a hot page lies before this one
    for (const auto page : dirty) {
        if (heat[page] >= hot) {
            apart = true;
            continue;
        }
        if (!apart && page - end_of(runs.back()) < armed_together)
            runs.back().count = page + 1 - runs.back().first;
        else
            runs.push_back({page, 1});
        apart = false;
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

std::uint64_t next_epoch() noexcept
{
    static std::atomic<std::uint64_t> epochs{0};
    return ++epochs;
}

/// What was taken is dirty no more.
void Region::Private::begin_epoch() noexcept
{
    epoch = next_epoch();
    for (const auto page : taken_list)
        notes[page] &= static_cast<std::uint8_t>(~taken);
    taken_list.clear();
}

Result<Region::Written> Region::take_written(PageRange range)
{
    auto& mine = *private_;
    Written now{.epoch = mine.epoch};
    std::vector<PageRange> closed;
    const auto took = [&]() -> Result<void> {
        for (const auto& part : mine.ordinary(range))
            TRY_OK(mine.tracker->take(part, now.pages, closed));
        return {};
    }();
    for (const auto& run : now.pages)
        for (auto page = run.first; page < end_of(run); ++page) {
            if ((mine.notes[page] & taken) == 0)
                mine.taken_list.push_back(page);
            mine.notes[page] |= taken;
        }
    for (const auto& run : closed)
        TRY_OK(mine.protect(run));
    if (!took) {
        mine.epoch = next_epoch();  // nobody knows what was armed
        return std::unexpected(took.error());
    }
    return now;
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
    mine.begin_epoch();
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
    mine.begin_epoch();
    return mine.arm(kept);
}

}  // namespace altiplano::memory
