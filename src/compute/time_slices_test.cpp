#include "compute/time_slices.hpp"

#include "base/executor.hpp"
#include "base/test_clock.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

constexpr TimeSlices::Options times{.first_ms = 30, .slice_ms = 100, .long_ms = 1000};

class ATimeSlice : public testing::Test {
public:
    StillClock clock;
    Turns turns{1, clock};
    Turns slices{1, clock};
    WorkerShare share{0};
    int over = 0;
    Turns::Turn turn{turns, {"a", "1"}};
    TimeSlices one{turn, slices, {"a", "1"}, share, clock, times, [this] { ++over; }};
};

}  // namespace

TEST_F(ATimeSlice, begins_when_the_first_turn_is_over)
{
    EXPECT_EQ(one.pass(), 30);
    clock.sleep_ms(20);
    EXPECT_EQ(one.pass(), 10);
    EXPECT_EQ(over, 0);
    clock.sleep_ms(10);
    EXPECT_EQ(one.pass(), 100);
    EXPECT_EQ(over, 1);
    const Turns::Turn another(turns, {"b", "2"});  // would wait for ever if the first one were still held
}

TEST_F(ATimeSlice, goes_on_where_nobody_waits)
{
    clock.sleep_ms(30);
    EXPECT_EQ(one.pass(), 100);
    for (int i = 0; i < 5; ++i) {
        clock.sleep_ms(100);
        EXPECT_EQ(one.pass(), 100);
    }
    EXPECT_EQ(over, 1);
}

TEST_F(ATimeSlice, ends_where_others_wait_and_begins_again_after_theirs)
{
    clock.sleep_ms(30);
    one.pass();
    std::atomic<bool> had = false;
    const auto pool = thread_pool("other", 1);
    pool->post([&] {
        const Turns::Turn other(slices, {"b", "2"});
        clock.sleep_ms(40);
        had = true;
    });
    while (slices.waiting() == 0)
        std::this_thread::yield();
    EXPECT_EQ(one.pass(), 100);
    EXPECT_FALSE(had) << "not before the slice is over";
    clock.sleep_ms(100);
    EXPECT_EQ(one.pass(), 100);
    EXPECT_TRUE(had);
}

TEST_F(ATimeSlice, makes_who_has_had_much_give_way_to_the_whole_machine)
{
    clock.sleep_ms(500);
    one.pass();
    EXPECT_FALSE(share.gives_way());
    clock.sleep_ms(500);
    one.pass();
    EXPECT_TRUE(share.gives_way());
}
