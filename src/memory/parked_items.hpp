#pragma once

#include "memory/file_hashes.hpp"

namespace altiplano::memory {

/// Mappings of items that no memory shows just now, with their page tables: what wakes next shows the item without a fault for
/// every few pages of it, and its first reader finds the pages where prefetching may go. A few, the newest; they cost address
/// space and page tables, the bytes are the file's. Any thread; a signal's handler may take one.
namespace parked_items {

/// What is mapped: whole pages of the file that the hashes are of.
struct Item {
    std::shared_ptr<FileHashes> hashes;
    std::uint64_t file_offset = 0;
    std::uint64_t length = 0;
    friend bool operator==(const Item&, const Item&) = default;
};

/// Takes a private mapping of the item, never written, away from `at`: nothing is mapped there afterwards.
/// @return whether it did; not where it is too small to be worth it
bool park(std::byte* at, const Item& item) noexcept;
bool has(const Item& item) noexcept;
/// Puts a mapping of the item, to be read, over what is mapped at `into`. @return false: there is none, nothing was done
bool take(std::byte* into, const Item& item) noexcept;

}  // namespace parked_items
}  // namespace altiplano::memory
