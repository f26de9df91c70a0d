#pragma once

#include "base/bytes.hpp"

#include <optional>

namespace altiplano::memory {

inline constexpr std::size_t packed_page_bytes_max = 64 + 4096;

/// Appends what a page has that another one has not: a bit for each of its 512 words of eight bytes, then those words.
/// @param page, other  whole pages
void pack_page(Bytes page, Bytes other, Buffer& into);

/// The bytes of the packed page that `packed` begins with. @return nothing where it ends inside
std::optional<Bytes> first_packed(Bytes packed);
/// Makes the page of that other one. @param packed  what `first_packed` gave
void unpack_page(Bytes packed, std::span<std::byte> other_to_page);

}  // namespace altiplano::memory
