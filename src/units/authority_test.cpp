#include "units/authority.hpp"

#include <gtest/gtest.h>

using namespace altiplano;

TEST(Authorities, are_lists_with_commas_or_spaces_in_any_number_of_tags)
{
    const item::Tags tags{{"Authority", "one, two"}, {"Name", "three"}, {"Authority", "four five"}};
    for (const auto* const named : {"one", "two", "four", "five"})
        EXPECT_TRUE(units::names_authority(tags, named)) << named;
    for (const auto* const other : {"three", "one, two", "on", "onetwo"})
        EXPECT_FALSE(units::names_authority(tags, other)) << other;
}
