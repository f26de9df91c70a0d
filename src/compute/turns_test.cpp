#include "compute/turns.hpp"

#include "base/executor.hpp"

#include <gtest/gtest.h>
#include <vector>

using namespace altiplano;
using namespace altiplano::compute;

TEST(Turns, go_round_the_owners_however_many_each_has_waiting)
{
    Turns turns(1);
    std::mutex mutex;
    std::vector<std::string> order;
    {
        auto first = std::make_unique<Turns::Turn>(turns, "anybody");
        const auto pool = thread_pool("waiting", 6);
        // One after the other into the queues: four of the greedy owner, then one each of two others.
        std::size_t queued = 0;
        for (const auto* owner : {"greedy", "greedy", "greedy", "greedy", "late", "one"}) {
            pool->post([&, name = std::string(owner)] {
                Turns::Turn turn(turns, name);
                const std::lock_guard lock(mutex);
                order.push_back(name);
            });
            ++queued;
            while (turns.waiting() < queued)
                std::this_thread::yield();
        }
        first.reset();
    }
    EXPECT_EQ(order, (std::vector<std::string>{"greedy", "late", "one", "greedy", "greedy", "greedy"}));
    EXPECT_EQ(turns.waiting(), 0U);
}

TEST(Turns, can_be_given_back_early_and_only_once)
{
    Turns turns(1);
    Turns::Turn one(turns, "a");
    one.end();
    one.end();
    {
        Turns::Turn two(turns, "b");  // would wait for ever
    }
    Turns::Turn three(turns, "c");
}
