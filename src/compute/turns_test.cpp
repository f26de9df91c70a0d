#include "compute/turns.hpp"

#include "base/executor.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <vector>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

class StillClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return now_ns / 1'000'000; }
    std::int64_t monotonic_ns() const override { return now_ns; }
    void sleep_ms(std::int64_t duration_ms) override { now_ns += duration_ms * 1'000'000; }
    std::atomic<std::int64_t> now_ns = 0;
};

/// Has one turn shared by whoever waits for it, all of them from the beginning; each takes its time. @return who had it, in order
std::vector<std::string> served(const std::vector<std::pair<std::string, std::int64_t>>& waiting, StillClock& clock, Turns& turns)
{
    std::mutex mutex;
    std::vector<std::string> order;
    auto first = std::make_unique<Turns::Turn>(turns, "anybody");
    auto pool = thread_pool("waiting", waiting.size());
    std::size_t queued = 0;
    for (const auto& [account, took_ms] : waiting) {
        pool->post([&] {
            Turns::Turn turn(turns, account);
            const std::lock_guard lock(mutex);
            order.push_back(account);
            clock.sleep_ms(took_ms);
        });
        ++queued;
        while (turns.waiting() < queued)
            std::this_thread::yield();
    }
    first.reset();
    pool.reset();
    return order;
}

}  // namespace

TEST(Turns, go_round_the_accounts_however_many_each_has_waiting)
{
    StillClock clock;
    Turns turns(1, clock);
    EXPECT_EQ(served({{"greedy", 0}, {"greedy", 0}, {"greedy", 0}, {"greedy", 0}, {"late", 0}, {"one", 0}}, clock, turns),
        (std::vector<std::string>{"greedy", "late", "one", "greedy", "greedy", "greedy"}));
    EXPECT_EQ(turns.waiting(), 0U);
}

TEST(Turns, are_shared_by_time_and_not_by_number)
{
    StillClock clock;
    Turns turns(1, clock);
    // Whoever takes 40 ms at a time waits until the other has had as much, by tens.
    EXPECT_EQ(served({{"long", 40}, {"long", 40}, {"short", 10}, {"short", 10}, {"short", 10}, {"short", 10}, {"short", 10}},
                  clock, turns),
        (std::vector<std::string>{"long", "short", "short", "short", "short", "long", "short"}));
}

TEST(Turns, follow_the_shares_that_accounts_have)
{
    StillClock clock;
    Turns turns(1, clock, {{"half", 1}, {"twice", 2}});
    EXPECT_EQ(served({{"half", 10}, {"half", 10}, {"half", 10}, {"twice", 10}, {"twice", 10}, {"twice", 10}, {"twice", 10}},
                  clock, turns),
        (std::vector<std::string>{"half", "twice", "twice", "half", "twice", "twice", "half"}));
}

TEST(Turns, let_nobody_save_up_nor_pay_for_time_that_nobody_else_wanted)
{
    StillClock clock;
    Turns turns(1, clock);
    for (int i = 0; i < 100; ++i) {
        const Turns::Turn alone(turns, "early");
        clock.sleep_ms(10);
    }
    // The one that comes now has had nothing, and yet does not go first a hundred times.
    EXPECT_EQ(served({{"early", 10}, {"early", 10}, {"new", 10}, {"new", 10}, {"new", 10}}, clock, turns).at(1), "early");
}

TEST(Turns, can_be_given_back_early_and_only_once)
{
    StillClock clock;
    Turns turns(1, clock);
    Turns::Turn one(turns, "a");
    one.end();
    one.end();
    {
        Turns::Turn two(turns, "b");  // would wait for ever
    }
    Turns::Turn three(turns, "c");
}
