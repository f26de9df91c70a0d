#include "compute/result_queue.hpp"

#include "base/counters.hpp"
#include "base/executor.hpp"
#include "base/hash.hpp"
#include "store/errors.hpp"
#include "store/sqlite/sqlite.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

class AResultQueue : public testing::Test {
protected:
    void SetUp() override { std::filesystem::create_directories(folder); }
    void TearDown() override
    {
        cache.reset();
        std::filesystem::remove_all(folder);
    }
    static store::Evaluation evaluation(std::uint64_t nonce, std::string output = "{}")
    {
        const auto process = ProcessId(sha256(as_bytes("process")));
        store::Evaluation one;
        one.result.process = process;
        one.result.nonce = nonce;
        one.result.output = std::move(output);
        store::OutboxRecord sent;
        sent.json = fmt::format("{{\"n\":{}}}", nonce);
        one.outbox.push_back(std::move(sent));
        return one;
    }
    Path folder = std::filesystem::temp_directory_path() / fmt::format("altiplano-result-queue-{}", getpid());
    std::unique_ptr<store::Cache> cache = [this] {
        std::filesystem::create_directories(folder);
        return store::open_cache(folder / "cache.db").value();
    }();
    ResultQueue queue{*cache};
};

}  // namespace

TEST_F(AResultQueue, keeps_what_came_in_order_for_many_who_wait)
{
    std::vector<std::shared_ptr<ResultQueue::Pending>> all;
    for (std::uint64_t nonce = 0; nonce < 64; ++nonce)
        all.push_back(queue.add(evaluation(nonce)));
    {
        const auto pool = thread_pool("waiting", 4);
        for (const auto& one : all)
            pool->post([&, one] { EXPECT_TRUE(queue.wait(*one)); });
    }
    const auto process = all.front()->evaluation.result.process;
    EXPECT_EQ(cache->results_end(process).value(), 64U);
    EXPECT_EQ(cache->outbox(process, 63).value().size(), 1U);
}

TEST_F(AResultQueue, lets_whoever_is_patient_wait_for_who_is_not)
{
    static const auto& commits = counters::counter("altiplano_store_commits_total", "Commits, each with one sync.");
    const auto before = commits.value();
    const auto pool = thread_pool("waiting", 3);
    std::vector<std::shared_ptr<ResultQueue::Pending>> all;
    for (std::uint64_t nonce = 0; nonce < 3; ++nonce) {
        all.push_back(queue.add(evaluation(nonce)));
        pool->post([&, one = all.back()] { EXPECT_TRUE(queue.wait(*one, std::chrono::hours(1))); });
    }
    EXPECT_TRUE(queue.wait(*queue.add(evaluation(3))));
    for (const auto& one : all)
        EXPECT_TRUE(queue.wait(*one, std::chrono::hours(1)));
    EXPECT_EQ(commits.value() - before, 1U);
}

TEST_F(AResultQueue, writes_in_the_end_where_all_are_patient)
{
    EXPECT_TRUE(queue.wait(*queue.add(evaluation(0)), std::chrono::milliseconds(1)));
    EXPECT_TRUE(cache->result(evaluation(0).result.process, 0).value());
}

TEST_F(AResultQueue, tells_each_who_waits_of_its_own_result)
{
    ASSERT_TRUE(queue.wait(*queue.add(evaluation(0))));
    const auto same = queue.add(evaluation(0));
    const auto other = queue.add(evaluation(0, R"({"other":1})"));
    const auto next = queue.add(evaluation(1));
    EXPECT_TRUE(queue.wait(*next)) << "in the same transaction as the others";
    EXPECT_TRUE(queue.wait(*same));
    const auto differs = queue.wait(*other);
    ASSERT_FALSE(differs);
    EXPECT_EQ(differs.error().code, store::errors::result_differs);
    EXPECT_EQ(cache->disagreements(other->evaluation.result.process).value().size(), 1U);
    EXPECT_EQ(cache->result(other->evaluation.result.process, 0)->value().output, "{}");
}
