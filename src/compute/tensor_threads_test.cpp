#include "compute/tensor_threads.hpp"

#include "memory/region.hpp"

#include <gtest/gtest.h>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>

namespace altiplano::compute {
namespace {

TEST(TensorThreads, are_all_processors_for_one_evaluation_and_fewer_for_each_of_several)
{
    TensorThreads threads({.processors = 8, .each_max = 8});
    const auto told = threads_told_through(threads.descriptor());
    EXPECT_EQ(told->load(), 8U) << "whoever comes next will be alone";
    const TensorThreads::Evaluation first(threads);
    EXPECT_EQ(told->load(), 8U);
    {
        const TensorThreads::Evaluation second(threads);
        EXPECT_EQ(told->load(), 4U);
        const TensorThreads::Evaluation third(threads);
        EXPECT_EQ(told->load(), 2U) << "3 times 3 were more than there are";
    }
    EXPECT_EQ(told->load(), 8U);
    EXPECT_EQ(threads.now(), 8U);
}

TEST(TensorThreads, are_never_fewer_than_one)
{
    TensorThreads threads({.processors = 2, .each_max = 2});
    std::vector<std::unique_ptr<TensorThreads::Evaluation>> many;
    for (int i = 0; i < 5; ++i)
        many.push_back(std::make_unique<TensorThreads::Evaluation>(threads));
    EXPECT_EQ(threads.now(), 1U);
}

TEST(TensorThreads, are_no_more_for_one_evaluation_than_the_operator_allows)
{
    TensorThreads threads({.processors = 8, .each_max = 3});
    EXPECT_EQ(threads.now(), 3U);
    const TensorThreads::Evaluation first(threads), second(threads);
    EXPECT_EQ(threads.now(), 3U) << "4 would be free for each";
}

TEST(TensorThreads, need_no_page_where_there_is_one)
{
    const TensorThreads threads({.processors = 8, .each_max = 1});
    EXPECT_EQ(threads.descriptor(), -1);
    EXPECT_EQ(threads.now(), 1U);
    EXPECT_EQ(threads_told_through(threads.descriptor())->load(), 1U);
}

TEST(TensorThreads, are_told_to_workers_that_cannot_change_them)
{
    const TensorThreads threads({.processors = 2, .each_max = 2});
    EXPECT_EQ(mmap(nullptr, memory::page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, threads.descriptor(), 0), MAP_FAILED);
    const std::uint32_t more = 100;
    EXPECT_LT(pwrite(threads.descriptor(), &more, sizeof more, 0), 0);
    EXPECT_LT(ftruncate(threads.descriptor(), 0), 0);
    EXPECT_EQ(threads.now(), 2U);
}

TEST(TensorThreads, are_told_to_whoever_outlives_the_node)
{
    auto threads = std::make_optional<TensorThreads>(TensorThreads::Options{.processors = 2, .each_max = 2});
    const auto told = threads_told_through(threads->descriptor());
    threads.reset();
    EXPECT_EQ(told->load(), 2U);
}

}  // namespace
}  // namespace altiplano::compute
