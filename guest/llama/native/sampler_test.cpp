#include "../sampler.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <span>

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

// As if all were sorted: many that are equal, some that are no numbers, some that were said.
TEST(Sampler, finds_the_first_of_a_large_vocabulary_as_if_all_were_sorted)
{
    std::uint32_t state = 1;
    const auto next = [&state] { return state = state * 1664525 + 1013904223; };
    for (int round = 0; round < 40; round++) {
        std::vector<float> many(1 + next() % 3000);
        for (auto& logit : many) {
            const auto kind = next() >> 24;
            logit = kind == 0 ? std::numeric_limits<float>::quiet_NaN()
                : kind == 1   ? std::numeric_limits<float>::infinity()
                : kind == 2   ? -0.0F
                              : static_cast<float>(static_cast<int>(next() >> 16) % 40 - 20) / 4;
        }
        std::vector<std::int32_t> said(next() % 20);
        for (auto& token : said)
            token = static_cast<std::int32_t>(next() % many.size());
        const float penalty = round % 2 == 0 ? 1.0F : 1.25F;

        std::vector<std::int32_t> sorted;
        auto now = many;
        for (std::size_t i = 0; i < many.size(); i++) {
            if (!std::isfinite(many[i]))
                continue;
            sorted.push_back(static_cast<std::int32_t>(i));
            if (penalty != 1 && std::find(said.begin(), said.end(), static_cast<std::int32_t>(i)) != said.end())
                now[i] = now[i] > 0 ? now[i] / penalty : now[i] * penalty;
        }
        std::stable_sort(sorted.begin(), sorted.end(),
            [&](auto a, auto b) { return now[static_cast<std::size_t>(a)] > now[static_cast<std::size_t>(b)]; });
        Sampler sampler;
        sampler.set({.repeat_penalty = penalty});
        EXPECT_EQ(sampler.choose(many, said, nullptr), sorted.empty() ? -1 : sorted.front());
        if (sorted.empty())
            continue;

        // Of all but the first k nothing is left, so that they are drawn from alike without a top k.
        const auto k = std::min<std::size_t>(sorted.size(), 1 + next() % 50);
        auto few = many;
        for (auto token : std::span(sorted).subspan(k))
            few[static_cast<std::size_t>(token)] = -std::numeric_limits<float>::infinity();
        SamplingOptions options{.temperature = 2, .top_k = static_cast<std::int32_t>(k), .top_p = 1, .repeat_penalty = penalty};
        for (options.seed = 0; options.seed < 20; options.seed++) {
            Sampler with_top_k;
            with_top_k.set(options);
            Sampler without;
            auto all = options;
            all.top_k = 0;
            without.set(all);
            EXPECT_EQ(with_top_k.choose(many, said, nullptr), without.choose(few, said, nullptr));
        }
        // Wherever what is allowed lies.
        Only only;
        only.tokens = {sorted[sorted.size() / 2], sorted.back()};
        EXPECT_EQ(sampler.choose(many, said, &only), sorted[sorted.size() / 2]);
    }
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
