#include "../sampler.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>

namespace altiplano::guest {
namespace {

const std::vector<float> logits{1.0F, 3.0F, 2.0F, 3.0F, -1.0F};

std::map<int, int> draws(SamplingOptions options, const std::vector<float>& from, int times)
{
    Sampler sampler;
    sampler.set(options);
    std::map<int, int> counts;
    for (int i = 0; i < times; i++)
        counts[sampler.choose(from, {}, nullptr)]++;
    return counts;
}

struct Only final : Constraint {
    std::vector<int> tokens;
    std::size_t asked = 0;
    void filter(std::span<Candidate> candidates) override
    {
        asked += candidates.size();
        for (auto& candidate : candidates)
            candidate.allowed = std::find(tokens.begin(), tokens.end(), candidate.token) != tokens.end();
    }
};

TEST(Sampler, takes_the_first_of_the_likeliest_when_greedy)
{
    Sampler sampler;
    EXPECT_EQ(sampler.choose(logits, {}, nullptr), 1);
}

TEST(Sampler, draws_the_same_from_the_same_seed_and_other_tokens_from_another)
{
    const std::vector<float> flat(1000, 0.0F);
    const auto first = [&](std::uint64_t seed) {
        Sampler sampler;
        sampler.set({.temperature = 1, .top_k = 0, .top_p = 1, .seed = seed});
        std::vector<int> tokens;
        for (int i = 0; i < 3; i++)
            tokens.push_back(sampler.choose(flat, {}, nullptr));
        return tokens;
    };
    EXPECT_EQ(first(1), first(1));
    EXPECT_NE(first(1), first(2));
    // SplitMix64 from seed 1 begins 910a2dec89025cc1, which is 0.5665 of 2^64.
    EXPECT_EQ(first(1).front(), 566);
}

TEST(Sampler, draws_as_often_as_the_temperature_says)
{
    const std::vector<float> two{0.0F, std::log(3.0F)};
    const auto warm = draws({.temperature = 1, .top_k = 0, .top_p = 1}, two, 4000);
    EXPECT_NEAR(warm.at(1), 3000, 100);
    const auto hot = draws({.temperature = 2, .top_k = 0, .top_p = 1}, two, 4000);
    EXPECT_NEAR(hot.at(1), 4000 * std::sqrt(3.0) / (1 + std::sqrt(3.0)), 120);
}

TEST(Sampler, keeps_the_top_k)
{
    const auto counts = draws({.temperature = 5, .top_k = 2, .top_p = 1}, logits, 500);
    EXPECT_EQ(counts.size(), 2U);
    EXPECT_TRUE(counts.contains(1) && counts.contains(3));
}

TEST(Sampler, keeps_the_shortest_beginning_that_has_top_p)
{
    // 0.6, 0.3, 0.1
    const std::vector<float> three{std::log(0.6F), std::log(0.3F), std::log(0.1F)};
    EXPECT_EQ(draws({.temperature = 1, .top_k = 0, .top_p = 0.5F}, three, 300).size(), 1U);
    EXPECT_EQ(draws({.temperature = 1, .top_k = 0, .top_p = 0.8F}, three, 300).size(), 2U);
    EXPECT_EQ(draws({.temperature = 1, .top_k = 0, .top_p = 1}, three, 300).size(), 3U);
}

TEST(Sampler, leaves_out_what_is_less_than_min_p_of_the_likeliest)
{
    const std::vector<float> three{std::log(0.6F), std::log(0.3F), std::log(0.1F)};
    EXPECT_EQ(draws({.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0.4F}, three, 300).size(), 2U);
    EXPECT_EQ(draws({.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0.6F}, three, 300).size(), 1U);
}

TEST(Sampler, makes_what_was_said_less_likely)
{
    Sampler sampler;
    const std::vector<std::int32_t> said{1, 1, 3};
    sampler.set({.repeat_penalty = 2});
    EXPECT_EQ(sampler.choose(logits, said, nullptr), 2);
    sampler.set({.frequency_penalty = 0.1F});
    EXPECT_EQ(sampler.choose(logits, said, nullptr), 3);
    sampler.set({.repeat_penalty = 2, .repeat_last = 1});
    EXPECT_EQ(sampler.choose(logits, said, nullptr), 1);
    // A negative logit becomes more so.
    sampler.set({.repeat_penalty = 4});
    EXPECT_EQ(sampler.choose(std::vector{-1.0F, -2.0F}, std::vector<std::int32_t>{0}, nullptr), 1);
}

TEST(Sampler, takes_the_likeliest_that_the_constraint_allows_wherever_it_lies)
{
    std::vector<float> many(5000);
    for (std::size_t i = 0; i < many.size(); i++)
        many[i] = -static_cast<float>(i);
    Sampler sampler;
    Only only;
    only.tokens = {4321, 4500};
    EXPECT_EQ(sampler.choose(many, {}, &only), 4321);
    only.tokens = {3};
    only.asked = 0;
    EXPECT_EQ(sampler.choose(many, {}, &only), 3);
    EXPECT_LE(only.asked, 64U);
    only.tokens = {};
    EXPECT_EQ(sampler.choose(many, {}, &only), -1);
}

TEST(Sampler, leaves_out_logits_that_are_no_numbers)
{
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    Sampler sampler;
    EXPECT_EQ(sampler.choose(std::vector{nan, infinity, -infinity, 1.0F}, {}, nullptr), 3);
    EXPECT_EQ(sampler.choose(std::vector{nan, infinity}, {}, nullptr), -1);
    sampler.set({.temperature = 1});
    EXPECT_EQ(sampler.choose(std::vector{nan, -infinity}, {}, nullptr), -1);
}

}  // namespace
}  // namespace altiplano::guest
