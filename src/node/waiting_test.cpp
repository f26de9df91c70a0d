#include "node/waiting.hpp"

#include "node/errors.hpp"

#include <atomic>
#include <condition_variable>
#include <gtest/gtest.h>

namespace altiplano::node {

namespace {

/// Results come when the test says so.
class HeldCompute final : public units::Compute {
public:
    Result<units::SlotResult> result(const units::Slot& slot) override
    {
        std::unique_lock lock(mutex);
        order.push_back(slot);
        changed.notify_all();
        changed.wait(lock, [this] { return open; });
        if (slot.nonce == 99)
            return fail("test.refused", "no such slot");
        return units::SlotResult{.slot = slot, .output = {}, .state_root = {}};
    }
    Result<std::optional<units::SlotResult>> stored(const units::Slot&) override { return std::optional<units::SlotResult>{}; }
    Result<units::SlotResult> dry_run(const units::DryRun&) override { return fail("test.none", "none"); }
    std::shared_ptr<void> watch(const ProcessId&, std::function<void(const units::ConsolePiece&)>) override { return {}; }

    void let_go()
    {
        const std::lock_guard lock(mutex);
        open = true;
        changed.notify_all();
    }
    void wait_for_calls(std::size_t count)
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return order.size() >= count; });
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
    std::vector<units::Slot> order;
};

ProcessId process(char name)
{
    Buffer bytes(32, static_cast<std::byte>(name));
    return ProcessId::from_bytes(bytes).value();
}

}  // namespace

TEST(Waiting, tells_everybody_with_two_threads)
{
    HeldCompute compute;
    std::atomic<int> told = 0;
    {
        Waiting waiting(compute, 2, 1000);
        for (int i = 0; i < 200; ++i)
            ASSERT_TRUE(waiting.ask({process('a'), static_cast<std::uint64_t>(i % 4)}, [&](const auto& result) {
                EXPECT_TRUE(result);
                ++told;
            }));
        // Another process is not held up by those of the first.
        ASSERT_TRUE(waiting.ask({process('b'), 7}, [&](const auto& result) {
            EXPECT_EQ(result->slot.nonce, 7);
            ++told;
        }));
        compute.wait_for_calls(2);
        EXPECT_EQ(waiting.count(), 201);
        EXPECT_EQ(told, 0);
        compute.let_go();
    }
    EXPECT_EQ(told, 201);
    EXPECT_EQ(compute.order.size(), 5);  // four slots and one: nothing was asked twice
}

TEST(Waiting, passes_errors_on)
{
    HeldCompute compute;
    compute.let_go();
    std::string code;
    {
        Waiting waiting(compute, 1, 10);
        ASSERT_TRUE(waiting.ask({process('a'), 99}, [&](const auto& result) { code = result.error().code; }));
    }
    EXPECT_EQ(code, "test.refused");
}

TEST(Waiting, refuses_more_than_its_limit)
{
    HeldCompute compute;
    Waiting waiting(compute, 1, 2);
    ASSERT_TRUE(waiting.ask({process('a'), 0}, [](const auto&) { }));
    ASSERT_TRUE(waiting.run([] { }));
    const auto third = waiting.ask({process('b'), 0}, [](const auto&) { FAIL() << "it was refused"; });
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, errors::busy);
    compute.let_go();
}

}  // namespace altiplano::node
