#include "memory/packed_pages.hpp"

#include "memory/region.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace altiplano::memory {

namespace {

constexpr std::size_t word_bytes = 8;
constexpr std::size_t words_each = 64;  // of which one number says which differ
constexpr std::size_t numbers = page_bytes / word_bytes / words_each;
constexpr std::size_t numbers_bytes = numbers * word_bytes;
static_assert(packed_page_bytes_max == numbers_bytes + page_bytes);

}  // namespace

void pack_page(Bytes page, Bytes other, Buffer& into)
{
    std::array<std::uint64_t, numbers> differ{};
    std::array<std::uint64_t, page_bytes / word_bytes> words;
    std::size_t count = 0;
    for (std::size_t number = 0; number < numbers; ++number) {
        std::array<std::uint64_t, words_each> ours;
        std::array<std::uint64_t, words_each> theirs;
        std::memcpy(ours.data(), page.data() + number * sizeof ours, sizeof ours);
        std::memcpy(theirs.data(), other.data() + number * sizeof theirs, sizeof theirs);
        for (std::size_t i = 0; i < words_each; ++i) {
            const bool differs = ours[i] != theirs[i];
            differ[number] |= std::uint64_t{differs} << i;
            words[count] = ours[i];
            count += differs ? 1 : 0;
        }
    }
    const auto at = into.size();
    into.resize(at + numbers_bytes + count * word_bytes);
    std::memcpy(into.data() + at, differ.data(), numbers_bytes);
    std::memcpy(into.data() + at + numbers_bytes, words.data(), count * word_bytes);
}

std::optional<Bytes> first_packed(Bytes packed)
{
    if (packed.size() < numbers_bytes)
        return std::nullopt;
    std::array<std::uint64_t, numbers> differ;
    std::memcpy(differ.data(), packed.data(), numbers_bytes);
    auto bytes = numbers_bytes;
    for (const auto number : differ)
        bytes += static_cast<std::size_t>(std::popcount(number)) * word_bytes;
    if (packed.size() < bytes)
        return std::nullopt;
    return packed.first(bytes);
}

void unpack_page(Bytes packed, std::span<std::byte> other_to_page)
{
    std::array<std::uint64_t, numbers> differ;
    std::memcpy(differ.data(), packed.data(), numbers_bytes);
    const auto* next = packed.data() + numbers_bytes;
    for (std::size_t number = 0; number < numbers; ++number)
        for (auto left = differ[number]; left != 0; left &= left - 1) {
            const auto word = number * words_each + static_cast<std::size_t>(std::countr_zero(left));
            std::memcpy(other_to_page.data() + word * word_bytes, next, word_bytes);
            next += word_bytes;
        }
}

}  // namespace altiplano::memory
