#include "cuda/emulated.hpp"
#include "cuda/mirror.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

using namespace altiplano;
using namespace altiplano::cuda;

namespace {

constexpr std::uint64_t page = Mirror::compared_bytes;
constexpr std::uint64_t pages = 8192;

/// A guest's memory, a card with a mirror of it, and somebody who watches writes.
class Mirrored : public testing::Test {
protected:
    void write(std::uint64_t at, int value)
    {
        guest[at] = static_cast<std::byte>(value);
        written[at / page] = 1;
    }
    /// As memory::Region does it.
    std::optional<Written> take(std::uint64_t begin, std::uint64_t end)
    {
        ++asked;
        Written told{.epoch = epoch};
        for (auto p = begin / page; p * page < end; ++p)
            if (std::exchange(written[p], 0) != 0)
                told.ranges.push_back({p * page, (p + 1) * page});
        return told;
    }
    std::uint64_t bring(std::span<const Extent> inputs)
    {
        std::uint64_t sent = 0;
        EXPECT_TRUE(mirror->bring(
            inputs, guest, [this](std::uint64_t begin, std::uint64_t end) { return take(begin, end); },
            [&](std::byte* to, Bytes from) -> Result<void> {
                sent += from.size();
                std::ranges::copy(from, to);
                return {};
            }));
        return sent;
    }
    bool has(Extent input) const
    {
        const auto bytes = std::span(guest).subspan(input.begin, input.bytes());
        return std::equal(bytes.begin(), bytes.end(), mirror->on_card(input.begin));
    }

    EmulatedDevice device;
    std::vector<std::byte> guest = std::vector<std::byte>(pages * page);
    std::vector<char> written = std::vector<char>(pages, 1);
    std::uint64_t epoch = 1;
    int asked = 0;
    std::shared_ptr<Mirror> mirror = Mirror::make(
        guest.data(), 0, pages* page, std::make_shared<CardMemory>(device, device.allocate(pages* page).value(), pages* page));
};

}  // namespace

TEST_F(Mirrored, compares_only_what_was_written_since)
{
    const Extent all[] = {{0, 64 * page}};
    write(3 * page, 1);
    EXPECT_EQ(bring(all), page);
    EXPECT_EQ(bring(all), 0U);
    write(5 * page + 7, 2);
    EXPECT_EQ(bring(all), page);
    guest[9 * page] = std::byte{3};  // which nobody was told
    EXPECT_EQ(bring(all), 0U);
    ++epoch;
    EXPECT_EQ(bring(all), page) << "in a new epoch anything may have changed";
    EXPECT_TRUE(has(all[0]));
}

TEST_F(Mirrored, asks_for_neighbours_together_and_compares_what_is_short)
{
    const Extent far_apart[] = {{0, 40 * page}, {50 * page, 90 * page}, {8000 * page, 8001 * page}};
    (void)bring(far_apart);
    EXPECT_EQ(asked, 1);
    guest[8000 * page] = std::byte{1};
    EXPECT_EQ(bring(far_apart), page);
}

TEST_F(Mirrored, has_what_the_guest_has_whoever_reads_which_part_of_it)
{
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        for (auto writes = random() % 8; writes > 0; --writes)
            write(random() % guest.size(), static_cast<int>(random()));
        if (random() % 50 == 0)
            ++epoch;
        if (random() % 50 == 0) {  // as after a graph that failed
            mirror->lose();
            std::fill_n(mirror->on_card(0), guest.size(), std::byte{0});
            ASSERT_TRUE(mirror->begin_anew());
        }
        Extents inputs;
        for (auto parts = 1 + random() % 3; parts > 0; --parts) {
            const auto begin = random() % guest.size();
            inputs.add(
                {begin, std::min<std::uint64_t>(guest.size(), begin + random() % (random() % 2 == 0 ? 90 * page : 2 * page))});
        }
        const auto all = inputs.all();
        (void)bring(all);
        for (const auto& one : all)
            ASSERT_TRUE(has(one)) << round;
        if (random() % 4 == 0 && !all.empty()) {  // a result comes back
            const auto to = all.front();
            for (auto at = to.begin; at < std::min(to.end, to.begin + 100); ++at) {
                write(at, static_cast<int>(random()));
                *mirror->on_card(at) = guest[at];
                mirror->note(at, {&guest[at], 1});
            }
        }
    }
}
