// Who may touch what: permissions of pages, and the check of those that nobody has seen.
#include "memory/region_private.hpp"

#include "memory/page_tree.hpp"

#include <array>
#include <cstring>

namespace altiplano::memory {

namespace {
constexpr std::uint64_t checks_max = 32768;  // ranges that are checked as one; each may need a mapping of its own
}  // namespace

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

const Digest* Region::known_hash(std::uint64_t page) const noexcept
{
    const auto* mapping = private_->mapping_from(page);
    return mapping != nullptr && mapping->pages().first <= page && mapping->hashes
        ? mapping->hashes->find(mapping->file_page(page))
        : nullptr;
}

void Region::note_hash(std::uint64_t page, const Digest& hash) noexcept
{
    const auto* mapping = private_->mapping_from(page);
    if (mapping != nullptr && mapping->pages().first <= page && mapping->hashes)
        mapping->hashes->note(mapping->file_page(page), hash);
}

/// Whether all of them are pages of an item whose hashes are known, so that their bytes need not be read.
bool Region::Private::is_known(PageRange range) const noexcept
{
    const auto* mapping = mapping_from(range.first);
    if (mapping == nullptr || mapping->pages().first > range.first || end_of(mapping->pages()) < end_of(range)
        || !mapping->hashes)
        return false;
    for (auto page = range.first; page < end_of(range); ++page)
        if (mapping->hashes->find(mapping->file_page(page)) == nullptr)
            return false;
    return true;
}

/// Whether pages are what they should be: at most as many as one group of hashes covers. Their bytes can be read, or are known.
bool Region::Private::check_group(PageRange range) noexcept
{
    std::array<Digest, PageTree::arity> hashes;
    const auto found = std::span(hashes).first(range.count);
    const auto* mapping = mapping_from(range.first);
    const bool inside = mapping != nullptr && mapping->hashes && mapping->pages().first <= range.first
        && end_of(mapping->pages()) >= end_of(range);
    if (is_known(range)) {
        for (std::size_t i = 0; i < found.size(); ++i)
            found[i] = *mapping->hashes->find(mapping->file_page(range.first + i));
        return check->check_hashes(range.first, found);
    }
    std::array<const std::byte*, PageTree::arity> bytes{};
    for (std::size_t i = 0; i < found.size(); ++i)
        bytes[i] = at(range.first + i);
    tree_hashes(HashKind::page, std::span(bytes).first(found.size()), page_bytes, found);
    if (inside)
        for (std::size_t i = 0; i < found.size(); ++i)
            mapping->hashes->note(mapping->file_page(range.first + i), found[i]);
    return check->check_hashes(range.first, found);
}

/// Shows the whole item as another memory showed it, if its hashes are those that this state has. @return whether it did
bool Region::Private::show_parked(const Mapping& mapping) noexcept
{
    const auto range = mapping.pages();
    if (!parked_items::has(mapping.item()) || !is_known(range))
        return false;
    for (auto page = range.first; page < end_of(range);) {
        const auto stop = std::min((page / PageTree::arity + 1) * PageTree::arity, end_of(range));
        if (!check_group({page, stop - page}))
            return false;  // the tree knows: nothing that follows counts
        page = stop;
    }
    if (!parked_items::take(at(range.first), mapping.item()))
        return false;
    // Pages that are checked together with others' wait for those.
    const auto first = (range.first + check_pages - 1) / check_pages;
    const auto stop = end_of(range) / check_pages;
    if (stop > first)
        std::memset(&unchecked[first], 0, stop - first);
    return protect(range).has_value();
}

/// Gives the address space back, but for items whose mapping may be of use to others.
void Region::Private::release() noexcept
{
    if (base == nullptr)
        return;
    // What is parked leaves a hole, where another thread may map something at once: it is not unmapped again.
    auto* begin = base;
    for (const auto& mapping : mappings) {
        auto* const shown = base + mapping.range.at;
        const auto middle = (mapping.pages().first + end_of(mapping.pages())) / 2;
        if (is_unchecked(middle) || !parked_items::park(shown, mapping.item()))
            continue;
        if (shown > begin)
            munmap(begin, static_cast<std::size_t>(shown - begin));
        begin = shown + mapping.range.length;
    }
    if (base + reserved > begin)
        munmap(begin, static_cast<std::size_t>(base + reserved - begin));
}

/// Looks at the pages that are checked together with `page`, and at those behind it as far as reading on is likely: twice as
/// many as last time where last time ended. @return whether they are what they should be
bool Region::Private::examine(std::uint64_t page)
{
    const auto first = page / check_pages * check_pages;
    const bool known = is_known(cut({first, check_pages}, 0, pages()));
    if (known && show_parked(*mapping_from(page)) && !is_unchecked(page))
        return true;
    const auto& stride = known ? known_stride : hashed_stride;
    const auto wanted = first == examined_until ? std::clamp(examined_pages * 2, stride.first, stride.longest) : stride.first;
    auto stop = first + check_pages;
    while (
        stop < std::min(first + wanted, pages()) && is_unchecked(stop) && is_known(cut({stop, check_pages}, 0, pages())) == known)
        stop += check_pages;
    const auto range = cut({first, stop - first}, 0, pages());

    if (!known && mprotect(at(range.first), range.count * page_bytes, PROT_READ) != 0)
        return false;
    for (auto group = range.first; group < end_of(range); group += PageTree::arity)
        if (!check_group(cut({group, PageTree::arity}, 0, end_of(range)))) {
            damaged = true;
            (void)mprotect(at(range.first), range.count * page_bytes, PROT_NONE);
            return false;
        }
    std::memset(&unchecked[first / check_pages], 0, (stop - first) / check_pages);
    examined_until = stop;
    examined_pages = stop - first;
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

bool Region::Private::mend(std::uintptr_t address, Access access, bool last_chance) noexcept
{
    const std::lock_guard lock(mending);
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
    // What was looked at can be read: another thread has only just looked.
    if (access == Access::read)
        return true;
    if (const auto* mapping = mapping_from(page); mapping != nullptr && mapping->pages().first <= page)
        return false;
    const auto opened = tracker->write(page);
    if (opened.count == 0 && access == Access::write)
        return protect({page, 1}).has_value();  // the same, of a page that may be written
    return opened.count != 0 && protect(opened);
}

Result<void> Region::examine(PageRange pages)
{
    return private_->examine_all(pages);
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
    mine.begin_epoch();
    saved();
    return {};
}

}  // namespace altiplano::memory
