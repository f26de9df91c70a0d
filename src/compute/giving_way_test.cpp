#include "compute/giving_way.hpp"

#include "base/test_clock.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

constexpr std::int64_t second = 1'000'000'000;

/// A thread of this program that does nothing.
class Idler {
public:
    Idler()
    {
        thread_ = std::thread([this] {
            id_ = gettid();
            id_.notify_all();
            ended_.wait(false);
        });
        id_.wait(0);
    }
    ~Idler()
    {
        ended_ = true;
        ended_.notify_all();
        thread_.join();
    }
    Idler(const Idler&) = delete;
    Idler& operator=(const Idler&) = delete;
    int policy() const { return sched_getscheduler(id_); }
    int nice() const { return getpriority(PRIO_PROCESS, static_cast<id_t>(id_.load())); }

private:
    std::atomic<pid_t> id_ = 0;
    std::atomic<bool> ended_ = false;
    std::thread thread_;
};

}  // namespace

TEST(WhoGivesWay, has_a_small_share_where_idle_is_nothing_until_others_rest)
{
    EXPECT_EQ(next_way(Way::idle, second, second), Way::idle);
    EXPECT_EQ(next_way(Way::idle, second / 10, second), Way::idle);
    EXPECT_EQ(next_way(Way::idle, second / 50, second), Way::small);
    EXPECT_EQ(next_way(Way::idle, 0, second), Way::small);
    // The share itself does not look like rest.
    EXPECT_EQ(next_way(Way::small, second / 10, second), Way::small);
    EXPECT_EQ(next_way(Way::small, second / 3, second), Way::small);
    EXPECT_EQ(next_way(Way::small, second * 3 / 4, second), Way::idle);
    EXPECT_EQ(next_way(Way::small, 2 * second, second), Way::idle) << "several threads";
}

// This program stands for a worker: what is tried here is what the kernel makes of it.
TEST(WhoGivesWay, does_so_with_every_thread_and_is_whole_again_with_every_thread)
{
    const int own_policy = sched_getscheduler(0);
    if (own_policy != SCHED_OTHER)
        GTEST_SKIP() << "this program was given another policy";
    const int own_nice = getpriority(PRIO_PROCESS, 0);
    StillClock clock;
    clock.now_ns = second;
    WorkerShare share(getpid());
    const Idler before;
    share.give_way(clock);
    EXPECT_TRUE(share.gives_way());
    if (before.policy() != SCHED_IDLE)
        GTEST_SKIP() << "raising again what was lowered takes a privilege here";
    EXPECT_EQ(sched_getscheduler(0), SCHED_IDLE);
    const Idler later;
    EXPECT_EQ(later.policy(), SCHED_IDLE) << "a thread takes over what the one has that starts it";

    // Nobody here computes: as if others never rested. Too early nothing changes.
    clock.now_ns += WorkerShare::way_ns - 1;
    share.look(clock);
    EXPECT_EQ(before.policy(), SCHED_IDLE);
    clock.now_ns += 100 * second;
    share.look(clock);
    EXPECT_EQ(before.policy(), SCHED_OTHER);
    EXPECT_EQ(before.nice(), std::min(own_nice + 10, 19));
    EXPECT_TRUE(share.gives_way());
    const Idler last;

    ASSERT_TRUE(share.be_normal());
    EXPECT_FALSE(share.gives_way());
    for (const auto* one : {&before, &later, &last}) {
        EXPECT_EQ(one->policy(), own_policy);
        EXPECT_EQ(one->nice(), own_nice);
    }
    EXPECT_EQ(sched_getscheduler(0), own_policy);
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), own_nice);
    clock.now_ns += 100 * second;
    share.look(clock);
    EXPECT_EQ(sched_getscheduler(0), own_policy) << "who does not give way is left alone";
}

TEST(WhoInterruptsNobody, is_the_thread_that_says_so_alone)
{
    const auto before = sched_getscheduler(0);
    if (before != SCHED_OTHER)
        GTEST_SKIP() << "this program was given another policy";
    int policy = before;
    std::thread([&] {
        interrupt_nobody();
        policy = sched_getscheduler(0);
    }).join();
    EXPECT_EQ(policy, SCHED_BATCH);
    EXPECT_EQ(sched_getscheduler(0), before);
}
