#include "base/utf8.hpp"

#include <gtest/gtest.h>

using namespace altiplano;

TEST(Utf8, leaves_what_is_text)
{
    for (const auto* text : {"", "plain", "Größe 山 🦙", "\xc2\x80", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"}) {
        EXPECT_TRUE(is_utf8(text)) << text;
        EXPECT_EQ(to_utf8(text), text);
    }
}

TEST(Utf8, has_one_replacement_for_each_longest_beginning)
{
    // What `new TextDecoder().decode` of Node gives for the same bytes.
    const std::pair<const char*, const char*> cases[] = {
        {"\xff", "?"},
        {"a\x80z", "a?z"},
        {"\xc3", "?"},
        {"\xc3(", "?("},
        {"\xe2\x82", "?"},
        {"\xe2\x82z", "?z"},
        {"\xf0\x9f\xa6", "?"},
        {"\xf0\x9f\xa6\xf0\x9f\xa6\x99", "?🦙"},
        {"\xc0\xaf", "??"},
        {"\xe0\x80\x80", "???"},
        {"\xed\xa0\x80", "???"},
        {"\xf4\x90\x80\x80", "????"},
        {"\xf8\x88\x80\x80\x80", "?????"},
    };
    for (const auto& [bytes, expected] : cases) {
        std::string want;
        for (const char c : std::string_view(expected))
            want += c == '?' ? "\xef\xbf\xbd" : std::string(1, c);
        EXPECT_EQ(to_utf8(bytes), want) << expected;
        EXPECT_FALSE(is_utf8(bytes));
    }
}
