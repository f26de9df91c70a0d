// Items that appear in a region: read-only, in place of what was there.
#include "memory/region_private.hpp"

#include <cstring>

namespace altiplano::memory {

namespace {
/// Whoever reads a model over and over finds its addresses faster where the system's cache has it in pieces of this size, which
/// is so where it is read from the disk through a mapping that asks for them. Where the mapping begins does not matter.
constexpr std::uint64_t large_page_bytes = std::uint64_t{2} << 20;
}  // namespace

/// The mapping that holds `page`, or else the next one.
const Mapping* Region::Private::mapping_from(std::uint64_t page) const
{
    const auto found = std::ranges::upper_bound(mappings, page * page_bytes, {}, [](const Mapping& one) { return one.end(); });
    return found == mappings.end() ? nullptr : &*found;
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

Result<void> Region::Private::show_item(const Mapping& mapping)
{
    if (mmap(base + mapping.range.at, mapping.range.length, PROT_READ, MAP_PRIVATE | MAP_FIXED, mapping.file->number(),
            static_cast<off_t>(mapping.file_offset))
        == MAP_FAILED)
        return kernel_error(fmt::format("map {} bytes of an item", mapping.range.length));
    // A wish: the system may not know such pieces.
    if (mapping.range.length >= large_page_bytes)
        (void)madvise(base + mapping.range.at, mapping.range.length, MADV_HUGEPAGE);
    return {};
}

bool Region::is_mapped(std::uint64_t page) const noexcept
{
    const auto* mapping = private_->mapping_from(page);
    return mapping != nullptr && mapping->pages().first <= page;
}

bool Region::is_writable(std::uint64_t at, std::uint64_t length) const noexcept
{
    return private_->is_writable(at, length);
}
bool Region::Private::is_writable(std::uint64_t begin, std::uint64_t bytes) const noexcept
{
    if (begin > length || bytes > length - begin)
        return false;
    const auto* mapping = mapping_from(begin / page_bytes);
    return mapping == nullptr || begin + bytes <= mapping->range.at || bytes == 0;
}

/// @param mapping  with the item's length, which may end inside a page
Result<void> Region::Private::map(Mapping mapping)
{
    auto& [begin, bytes, item, item_offset] = mapping.range;
    const auto item_bytes = std::exchange(bytes, (bytes + page_bytes - 1) / page_bytes * page_bytes);
    if (bytes == 0 || bytes < item_bytes || !whole_pages(begin) || !whole_pages(item_offset) || !whole_pages(mapping.file_offset)
        || !is_writable(begin, bytes))
        return fail(errors::bad_range,
            fmt::format(
                "{} bytes of an item from {} cannot appear at {}: whole pages inside the memory, not over another mapping",
                item_bytes, item_offset, begin));
    TRY_OK(examine_all(mapping.pages()));
    TRY_OK(show_item(mapping));
    replaced.push_back(mapping.pages());
    epoch = next_epoch();
    mappings.insert(
        std::ranges::upper_bound(mappings, begin, {}, [](const Mapping& other) { return other.range.at; }), std::move(mapping));
    describe_mappings();
    return {};
}

Result<void> Region::map(std::uint64_t at, std::uint64_t length, int descriptor, std::uint64_t file_offset, const ItemId& item,
    std::uint64_t item_offset)
{
    TRY(auto file, duplicate(descriptor));
    return private_->map({{at, length, item, item_offset}, std::move(file), file_offset, FileHashes::of(descriptor)});
}

Result<void> Region::map_bytes(std::uint64_t at, Bytes bytes, const ItemId& item, std::uint64_t item_offset)
{
    auto copy = std::make_shared<const Descriptor>(memfd_create("altiplano-item", MFD_CLOEXEC));
    if (copy->number() < 0)
        return kernel_error("make a memory file");
    TRY_OK(write_all(copy->number(), bytes, 0));
    return private_->map({{at, bytes.size(), item, item_offset}, std::move(copy), 0, nullptr});
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
        mine.epoch = next_epoch();
        // The files still hold what was there before the mapping.
        TRY_OK(prepare_write(range.first * page_bytes, range.count * page_bytes));
        std::memset(mine.at(range.first), 0, range.count * page_bytes);
    }
    return {};
}

}  // namespace altiplano::memory
