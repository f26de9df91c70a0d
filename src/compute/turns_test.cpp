#include "compute/turns.hpp"

#include "base/executor.hpp"
#include "base/test_clock.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <optional>
#include <thread>
#include <vector>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

Turns::Whose whose(const std::string& who)
{
    const auto slash = who.find('/');
    return {.account = who.substr(0, slash), .process = slash == std::string::npos ? "" : who.substr(slash + 1)};
}

/// Has one turn shared by whoever waits for it, all of them from the beginning; each takes its time. "a/b" is the process b of
/// the account a. @return who had it, in order
std::vector<std::string> served(const std::vector<std::pair<std::string, std::int64_t>>& waiting, StillClock& clock, Turns& turns)
{
    std::mutex mutex;
    std::vector<std::string> order;
    auto first = std::make_unique<Turns::Turn>(turns, Turns::Whose{"anybody"});
    auto pool = thread_pool("waiting", waiting.size());
    std::size_t queued = 0;
    for (const auto& [who, took_ms] : waiting) {
        pool->post([&] {
            Turns::Turn turn(turns, whose(who));
            const std::lock_guard lock(mutex);
            order.push_back(who);
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
        const Turns::Turn alone(turns, whose("early"));
        clock.sleep_ms(10);
    }
    // The one that comes now has had nothing, and yet does not go first a hundred times.
    EXPECT_EQ(served({{"early", 10}, {"early", 10}, {"new", 10}, {"new", 10}, {"new", 10}}, clock, turns).at(1), "early");
}

TEST(Turns, are_shared_within_an_account_by_its_processes)
{
    StillClock clock;
    Turns turns(1, clock);
    EXPECT_EQ(served({{"a/long", 40}, {"a/long", 40}, {"a/short", 10}, {"a/short", 10}, {"a/short", 10}, {"a/short", 10},
                         {"a/short", 10}, {"b", 100}},
                  clock, turns),
        (std::vector<std::string>{"a/long", "b", "a/short", "a/short", "a/short", "a/short", "a/long", "a/short"}));
    EXPECT_EQ(turns.waiting(), 0U);
}

TEST(Turns, begin_for_a_new_process_where_those_of_its_account_are)
{
    StillClock clock;
    Turns turns(1, clock);
    for (int i = 0; i < 100; ++i) {
        const Turns::Turn alone(turns, whose("a/early"));
        clock.sleep_ms(10);
    }
    EXPECT_EQ(
        served({{"a/early", 10}, {"a/early", 10}, {"a/new", 10}, {"a/new", 10}, {"a/new", 10}}, clock, turns).at(1), "a/early");
}

namespace {

/// An account may have one under way, has it, and somebody waits to be its second.
class ASecondUnderWay : public testing::Test {
protected:
    ASecondUnderWay()
    {
        turns.allow_under_way(1);
        first.emplace(turns, whose("a/1"));
        first->leave();
        pool->post([this] {
            const Turns::Turn second(turns, whose("a/2"));
            got = true;
        });
        while (turns.waiting() == 0)
            std::this_thread::yield();
    }
    void wait_until_it_got_one() const
    {
        while (!got)
            std::this_thread::yield();
    }

    StillClock clock;
    Turns turns{1, clock};
    std::optional<Turns::Turn> first;
    std::atomic<bool> got = false;
    const std::unique_ptr<Executor> pool = thread_pool("waiting", 1);
};

}  // namespace

TEST_F(ASecondUnderWay, waits_while_others_have_their_turns)
{
    {
        const Turns::Turn others(turns, whose("b"));
    }
    EXPECT_FALSE(got);
    first.reset();
    wait_until_it_got_one();
}

TEST_F(ASecondUnderWay, begins_as_soon_as_it_is_said_that_it_may)
{
    turns.allow_under_way(2);
    wait_until_it_got_one();
}

TEST(Turns, tell_who_has_to_wait_before_it_waits)
{
    StillClock clock;
    Turns turns(1, clock);
    int told = 0;
    std::optional<Turns::Turn> first(std::in_place, turns, whose("a"), [&] { ++told; });
    EXPECT_EQ(told, 0);
    const Turns::Turn second(turns, whose("b"), [&] {
        ++told;
        first.reset();
    });
    EXPECT_EQ(told, 1);
}

TEST(Turns, can_be_given_back_early_and_only_once)
{
    StillClock clock;
    Turns turns(1, clock);
    Turns::Turn one(turns, whose("a"));
    one.end();
    one.end();
    {
        Turns::Turn two(turns, whose("b"));  // would wait for ever
    }
    Turns::Turn three(turns, whose("c"));
}
