#include "cli/options.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::cli;

TEST(Printable, text_has_no_control_characters_of_the_second_set_either)
{
    EXPECT_EQ(printable("\xc2\x9b"
                        "2J, \xc2\x80\xc2\x9f"),
        "2J, ")
        << "U+009B is ESC [ in one character";
    EXPECT_EQ(printable("\xc2\xa0\xc3\x9b\xe2\x82\x9b"), "\xc2\xa0\xc3\x9b\xe2\x82\x9b")
        << "bytes of that range inside other characters stay";
    EXPECT_EQ(printable("cut \xc2"), "cut \xc2");
}
