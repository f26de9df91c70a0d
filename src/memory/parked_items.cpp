// Moves mappings: mremap.
#include "memory/parked_items.hpp"

#include "memory/region.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <sys/mman.h>

namespace altiplano::memory::parked_items {

namespace {

constexpr std::size_t places = 4;
constexpr std::uint64_t parked_bytes_min = std::uint64_t{1} << 20;
/// Page tables are moved in one piece where old and new address have the same place in such a stretch.
constexpr std::uint64_t table_bytes = std::uint64_t{2} << 20;

struct Parked {
    Item item;
    std::byte* at = nullptr;
};
std::mutex mutex;
std::array<Parked, places> newest_first;

Parked* find(const Item& item)
{
    const auto found = std::ranges::find_if(newest_first, [&](const Parked& one) { return one.at && one.item == item; });
    return found == newest_first.end() ? nullptr : &*found;
}

/// Address space of that length, as far into a stretch of a page table as `like`.
std::byte* place_for(std::uint64_t length, const std::byte* like)
{
    auto* const mapped = mmap(nullptr, length + table_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return nullptr;
    auto* const begin = static_cast<std::byte*>(mapped);
    const auto skipped = (reinterpret_cast<std::uintptr_t>(like) - reinterpret_cast<std::uintptr_t>(begin)) % table_bytes;
    if (skipped != 0)
        munmap(begin, skipped);
    munmap(begin + skipped + length, table_bytes - skipped);
    return begin + skipped;
}

}  // namespace

bool park(std::byte* at, const Item& item) noexcept
{
    if (!item.hashes || item.length < parked_bytes_min)
        return false;
    const std::lock_guard lock(mutex);
    if (find(item) != nullptr)
        return false;
    auto* const place = place_for(item.length, at);
    if (place == nullptr)
        return false;
    // Pieces with permissions of their own would have to be moved one by one.
    if (mprotect(at, item.length, PROT_READ) != 0
        || mremap(at, item.length, item.length, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
        munmap(place, item.length);
        return false;
    }
    if (auto& oldest = newest_first.back(); oldest.at != nullptr)
        munmap(oldest.at, oldest.item.length);
    std::ranges::move_backward(newest_first.begin(), newest_first.end() - 1, newest_first.end());
    newest_first.front() = {item, place};
    return true;
}

bool has(const Item& item) noexcept
{
    const std::lock_guard lock(mutex);
    return find(item) != nullptr;
}

bool take(std::byte* into, const Item& item) noexcept
{
    const std::lock_guard lock(mutex);
    auto* const found = find(item);
    if (found == nullptr || mremap(found->at, item.length, item.length, MREMAP_MAYMOVE | MREMAP_FIXED, into) == MAP_FAILED)
        return false;
    found->at = nullptr;
    return true;
}

}  // namespace altiplano::memory::parked_items
