#include "base/json.hpp"

#include "base/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano;

TEST(JsonWriter, writes_in_the_order_of_the_calls)
{
    JsonWriter json;
    json.begin_object()
        .member("a", "x\n\"\\")
        .member("n", std::int64_t{-3})
        .key("list")
        .begin_array()
        .number(std::uint64_t{1})
        .boolean(true)
        .null();
    json.begin_object().end_object().end_array().member("last", false).end_object();
    EXPECT_EQ(json.text(), R"({"a":"x\n\"\\","n":-3,"list":[1,true,null,{}],"last":false})");
}

TEST(JsonWriter, keeps_binary_for_guests_and_mends_it_for_clients)
{
    const std::string bytes("\x00\xff\xc3\xa9\x80", 5);
    EXPECT_EQ(JsonWriter(JsonWriter::Text::guest).string(bytes).text(), std::string("\"\\u0000\xff\xc3\xa9\x80\""));
    EXPECT_EQ(JsonWriter(JsonWriter::Text::client).string(bytes).text(), "\"\\u0000\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\"");
}

TEST(JsonView, gives_back_every_byte_that_a_guest_string_holds)
{
    std::string every;
    for (int i = 0; i < 256; ++i)
        every += static_cast<char>(i);
    const auto text = JsonWriter(JsonWriter::Text::guest).string(every).text();
    EXPECT_EQ(JsonView::parse(text).value().string(), every);
}

TEST(JsonView, walks_objects_and_arrays)
{
    const std::string text = R"( {"a":{"b":[1, -2.5e3 ,"x"]},"a2":true,"dup":1,"dup":2,"u":"\ud83d\ude00\ud800"} )";
    const auto view = JsonView::parse(text).value();
    const auto list = view.find("a")->find("b")->elements();
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[0].integer(), 1);
    EXPECT_EQ(list[1].number(), -2500.0);
    EXPECT_FALSE(list[1].integer());
    EXPECT_EQ(list[2].string(), "x");
    EXPECT_EQ(view.find("dup")->integer(), 2);
    EXPECT_EQ(view.find("u")->string(), "\xf0\x9f\x98\x80\xef\xbf\xbd");
    EXPECT_FALSE(view.find("none"));
}

TEST(JsonView, refuses_every_truncation_and_deep_nesting)
{
    const std::string text = R"({"a":[1,"x\u00e9",{"b":null}],"c":-1.5e+3})";
    ASSERT_TRUE(JsonView::parse(text));
    for (std::size_t length = 0; length < text.size(); ++length)
        EXPECT_EQ(JsonView::parse(text.substr(0, length)).error().code, errors::bad_json) << length;
    EXPECT_TRUE(JsonView::parse(std::string(64, '[') + std::string(64, ']')));
    EXPECT_FALSE(JsonView::parse(std::string(65, '[') + std::string(65, ']')));
    EXPECT_FALSE(JsonView::parse(std::string(1'000'000, '[')));
    for (const auto* bad :
        {"", " ", "{]", "01", "1.", "\"\n\"", "\"\\x\"", "tru", "{\"a\" 1}", "[1,]", "{,}", "1 2", "+1", "nul"})
        EXPECT_FALSE(JsonView::parse(bad)) << bad;
}
