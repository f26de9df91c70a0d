#include "../sampler.hpp"

#include <kernels/arithmetic.hpp>

#include <algorithm>
#include <array>
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
        // The likeliest first; of those alike the one with the lower number.
        std::sort(sorted.begin(), sorted.end(), [&](auto a, auto b) {
            const auto one = now[static_cast<std::size_t>(a)];
            const auto other = now[static_cast<std::size_t>(b)];
            return one != other ? one > other : a < b;
        });
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

// docs/arithmetic.md §9.3 and §9.4 word by word, over all candidates sorted.
std::int32_t as_documented(std::vector<Candidate> sorted, const SamplingOptions& options, std::uint64_t random)
{
    std::ranges::sort(
        sorted, [](const auto& a, const auto& b) { return a.logit > b.logit || (a.logit == b.logit && a.token < b.token); });
    const auto weight = [&](std::size_t i, float temperature) {
        const float exponent = (sorted[i].logit - sorted[0].logit) / temperature;
        return static_cast<std::uint64_t>(static_cast<double>(kernels::exp_of(exponent)) * 4294967296.0);
    };
    const auto part = [](float of) { return static_cast<std::uint64_t>(static_cast<double>(of) * 4294967296.0); };
    __extension__ using Wide = unsigned __int128;
    if (options.top_k > 0)
        sorted.resize(std::min(sorted.size(), static_cast<std::size_t>(options.top_k)));
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < sorted.size(); i++)
        all += weight(i, 1);
    std::size_t kept = 0;
    for (std::uint64_t sum = 0; kept < sorted.size() && (kept == 0 || weight(kept, 1) >= part(options.min_p));) {
        sum += weight(kept++, 1);
        if (static_cast<Wide>(sum) << 32 >= static_cast<Wide>(all) * part(options.top_p))
            break;
    }
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < kept; i++)
        total += weight(i, options.temperature);
    const auto point = static_cast<std::uint64_t>((static_cast<Wide>(random) * total) >> 64);
    std::size_t chosen = 0;
    for (std::uint64_t sum = weight(0, options.temperature); sum <= point; sum += weight(chosen, options.temperature))
        chosen++;
    return sorted[chosen].token;
}

TEST(Sampler, draws_without_sorting_what_sorting_would_give)
{
    std::uint32_t state = 7;
    const auto next = [&state] { return state = state * 1664525 + 1013904223; };
    const auto of = [&](auto... values) {
        const std::array all{values...};
        return all[(next() >> 16) % all.size()];
    };
    for (int round = 0; round < 400; round++) {
        const auto spread = of(0.0F, 0.5F, 8.0F, 60.0F);
        std::vector<float> many(1 + (next() >> 8) % of(3U, 300U, 4000U));
        std::vector<Candidate> candidates;
        for (std::size_t i = 0; i < many.size(); i++) {
            many[i] = spread * static_cast<float>(next() >> 20) / 4096;
            candidates.push_back({static_cast<std::int32_t>(i), many[i]});
        }
        const SamplingOptions options{.temperature = of(0.1F, 0.8F, 3.0F, 100.0F),
            .top_k = of(0, 0, 1500),
            .top_p = of(0.0F, 0.1F, 0.95F, 1.0F),
            .min_p = of(0.0F, 0.01F, 0.5F, 1.0F),
            .seed = next()};
        Sampler sampler;
        sampler.set(options);
        // SplitMix64, docs/arithmetic.md §9.
        std::uint64_t random = options.seed + 0x9e3779b97f4a7c15U;
        random = (random ^ (random >> 30)) * 0xbf58476d1ce4e5b9U;
        random = (random ^ (random >> 27)) * 0x94d049bb133111ebU;
        random ^= random >> 31;
        EXPECT_EQ(sampler.choose(many, {}, nullptr), as_documented(candidates, options, random)) << round;
    }
}

TEST(Sampler, leaves_out_what_a_penalty_makes_infinite)
{
    Sampler sampler;
    sampler.set({.temperature = 1, .top_k = 0, .repeat_penalty = 0.01F});
    EXPECT_EQ(sampler.choose(std::vector{3e38F, 1.0F}, std::vector<std::int32_t>{0}, nullptr), 1);
    sampler.set({.repeat_penalty = 0.01F});
    EXPECT_EQ(sampler.choose(std::vector{3e38F, 1.0F}, std::vector<std::int32_t>{0}, nullptr), 1);
    EXPECT_EQ(sampler.choose(std::vector{3e38F}, std::vector<std::int32_t>{0}, nullptr), -1);
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
