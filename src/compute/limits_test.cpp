#include "compute/limits.hpp"

#include "compute/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

std::uint64_t memory(std::string text)
{
    return limits_of({{"Memory-Limit", std::move(text)}}, {}).value().memory_bytes;
}
std::string_view refusal(std::string name, std::string value)
{
    const auto limits = limits_of({{std::move(name), std::move(value)}}, {});
    return limits ? "accepted" : limits.error().code;
}

}  // namespace

TEST(Limits, of_memory_take_every_unit_in_any_case)
{
    EXPECT_EQ(memory("5"), 5U);
    EXPECT_EQ(memory("5-b"), 5U);
    EXPECT_EQ(memory("5-kb"), 5U << 10);
    EXPECT_EQ(memory("500-MB"), 500U << 20);
    EXPECT_EQ(memory("1-gb"), 1U << 30);
    EXPECT_EQ(memory("16-Gb"), std::uint64_t{16} << 30);
    EXPECT_EQ(memory("2-tb"), std::uint64_t{2} << 40);
    EXPECT_EQ(memory("1gb"), 1U << 30);
}

TEST(Limits, go_up_to_the_largest_number)
{
    EXPECT_EQ(memory("18446744073709551615"), UINT64_MAX);
    EXPECT_EQ(memory("18446744073709551616"), UINT64_MAX);
    EXPECT_EQ(memory("18446744073709551615-tb"), UINT64_MAX);
    EXPECT_EQ(memory("16777216-tb"), UINT64_MAX);
    EXPECT_EQ(limits_of({{"Compute-Limit", "18446744073709551615"}}, {}).value().gas, UINT64_MAX);
}

TEST(Limits, that_say_nothing_are_refused)
{
    for (const auto* text : {"", "-gb", "many", "1-", "1-pb", "1 gb", "-1-gb", "1-gbx", "0x10"})
        EXPECT_EQ(refusal("Memory-Limit", text), std::string_view(text) == "1-" ? "accepted" : errors::bad_limit) << text;
    for (const auto* text : {"", "1e9", "1-gb", "-1", " 1"})
        EXPECT_EQ(refusal("Compute-Limit", text), errors::bad_limit) << text;
}

TEST(Limits, are_the_process_s_own_before_its_module_s)
{
    const item::Tags module{{"Memory-Limit", "2-gb"}, {"Compute-Limit", "7"}};
    EXPECT_EQ(limits_of({}, {}).value(), Limits{});
    EXPECT_EQ(limits_of({}, module).value(), (Limits{std::uint64_t{2} << 30, 7}));
    EXPECT_EQ(limits_of({{"Memory-Limit", "1-mb"}}, module).value(), (Limits{1 << 20, 7}));
}
