#include "item/keccak.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace altiplano::item {

namespace {

using State = std::array<std::uint64_t, 25>;
constexpr std::size_t rate = 136;

/// The round constants of Keccak-f[1600], from their linear feedback register (FIPS 202, algorithm 5).
constexpr std::array<std::uint64_t, 24> round_constants = [] {
    std::array<std::uint64_t, 24> constants{};
    std::uint8_t r = 1;
    for (auto& constant : constants)
        for (unsigned j = 0; j <= 6; ++j) {
            if (r & 1U)
                constant |= std::uint64_t{1} << ((1U << j) - 1);
            r = static_cast<std::uint8_t>((unsigned{r} << 1U) ^ ((unsigned{r} >> 7U) * 0x71U));
        }
    return constants;
}();

void permute(State& a)
{
    for (const auto constant : round_constants) {
        std::array<std::uint64_t, 5> c{};
        for (std::size_t x = 0; x < 5; ++x)
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (std::size_t x = 0; x < 5; ++x) {
            const auto d = c[(x + 4) % 5] ^ std::rotl(c[(x + 1) % 5], 1);
            for (std::size_t y = 0; y < 25; y += 5)
                a[x + y] ^= d;
        }
        // Rho and pi walk the lanes in one cycle.
        auto lane = a[1];
        for (std::size_t t = 0, x = 1, y = 0; t < 24; ++t) {
            const auto next = (2 * x + 3 * y) % 5;
            x = y;
            y = next;
            std::swap(lane, a[x + 5 * y]);
            a[x + 5 * y] = std::rotl(a[x + 5 * y], static_cast<int>((t + 1) * (t + 2) / 2 % 64));
        }
        for (std::size_t y = 0; y < 25; y += 5) {
            const std::array row{a[y], a[y + 1], a[y + 2], a[y + 3], a[y + 4]};
            for (std::size_t x = 0; x < 5; ++x)
                a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
        }
        a[0] ^= constant;
    }
}

void absorb(State& state, std::span<const std::byte, rate> block)
{
    for (std::size_t i = 0; i < rate / 8; ++i) {
        std::uint64_t lane;
        std::memcpy(&lane, block.data() + 8 * i, 8);
        state[i] ^= lane;
    }
    permute(state);
}

}  // namespace

Digest keccak256(Bytes bytes)
{
    static_assert(std::endian::native == std::endian::little);
    State state{};
    for (; bytes.size() >= rate; bytes = bytes.subspan(rate))
        absorb(state, bytes.first<rate>());
    std::array<std::byte, rate> last{};
    std::ranges::copy(bytes, last.begin());
    last[bytes.size()] ^= std::byte{0x01};
    last.back() ^= std::byte{0x80};
    absorb(state, last);
    std::array<std::byte, 32> digest;
    std::memcpy(digest.data(), state.data(), digest.size());
    return Digest(digest);
}

}  // namespace altiplano::item
