#include "base/recent.hpp"

#include <gtest/gtest.h>
#include <string>

using namespace altiplano;

TEST(Recent, keeps_the_newest_and_what_came_first_under_a_key)
{
    using Texts = Recent<std::size_t, std::string>;
    Texts recent;
    for (std::size_t i = 0; i <= Texts::kept_max; ++i)
        recent.add(i, std::to_string(i), 1);
    EXPECT_EQ(recent.find(0), nullptr);
    ASSERT_NE(recent.find(1), nullptr);
    EXPECT_EQ(*recent.find(1), "1");
    EXPECT_EQ(*recent.find(Texts::kept_max), std::to_string(Texts::kept_max));
    // The same key again puts nothing else out.
    recent.add(2, "another", 1);
    EXPECT_EQ(*recent.find(2), "2");
    EXPECT_NE(recent.find(1), nullptr);
}

TEST(Recent, does_not_keep_what_is_large)
{
    Recent<int, std::string> recent;
    recent.add(1, "fits", recent.bytes_max);
    recent.add(2, "does not", recent.bytes_max + 1);
    EXPECT_NE(recent.find(1), nullptr);
    EXPECT_EQ(recent.find(2), nullptr);
}
