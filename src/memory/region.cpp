// The region itself: its reservation and its length.
#include "memory/region_private.hpp"

namespace altiplano::memory {

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
bool Region::is_hot(std::uint64_t page) const noexcept
{
    return private_->heat[page] >= hot && !is_mapped(page);
}
void Region::cool(std::span<const std::uint64_t> pages) noexcept
{
    for (const auto page : pages)
        private_->heat[page] = 0;
}
Result<Bytes> Region::kept(std::uint64_t page)
{
    TRY_OK(private_->view_delta());
    return Bytes(private_->delta_view + page * page_bytes, page_bytes);
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

}  // namespace altiplano::memory
