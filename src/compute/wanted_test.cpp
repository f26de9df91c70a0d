#include "compute/wanted.hpp"

#include "base/executor.hpp"

#include <gtest/gtest.h>
#include <optional>
#include <thread>
#include <vector>

using namespace altiplano;
using namespace altiplano::compute;

namespace {
units::Slot slot(std::uint64_t nonce, std::uint64_t cron = 0)
{
    return {ProcessId{}, nonce, cron};
}
}  // namespace

TEST(Wanted, lets_the_lowest_slot_come_first_whoever_asked_first)
{
    Wanted wanted;
    std::mutex mutex;
    std::vector<std::uint64_t> order;
    std::optional<Wanted::Place> first(std::in_place, wanted, slot(1));
    first->come_first();
    {
        std::atomic<std::size_t> there = 0;
        const auto pool = thread_pool("waiting", 4);
        for (const std::uint64_t nonce : {5U, 3U, 3U, 4U})
            pool->post([&, nonce] {
                Wanted::Place place(wanted, slot(nonce));
                ++there;
                place.come_first();
                const std::lock_guard lock(mutex);
                order.push_back(nonce);
            });
        while (there < 4)
            std::this_thread::yield();
        EXPECT_TRUE(order.empty());
        first.reset();
    }
    EXPECT_EQ(order, (std::vector<std::uint64_t>{3, 3, 4, 5}));
}

TEST(Wanted, tells_how_far_somebody_waits)
{
    Wanted wanted;
    EXPECT_FALSE(wanted.reaches(slot(0)));
    const Wanted::Place place(wanted, slot(2, 1));
    EXPECT_TRUE(wanted.reaches(slot(2, 1)));
    EXPECT_FALSE(wanted.reaches(slot(3)));
    EXPECT_TRUE(wanted.beyond(slot(2)));
    EXPECT_FALSE(wanted.beyond(slot(2, 1)));
}

TEST(Wanted, counts_the_results_that_are_waited_for_and_not_who_waits)
{
    Wanted wanted;
    EXPECT_EQ(wanted.after(slot(0), 9), 0U);
    const Wanted::Place one(wanted, slot(2));
    const Wanted::Place another(wanted, slot(2));
    const Wanted::Place later(wanted, slot(5));
    const Wanted::Place latest(wanted, slot(5, 1));
    EXPECT_EQ(wanted.after(slot(1), 9), 3U);
    EXPECT_EQ(wanted.after(slot(1), 2), 2U);
    EXPECT_EQ(wanted.after(slot(2), 9), 2U);
    EXPECT_EQ(wanted.after(slot(5, 1), 9), 0U);
}
