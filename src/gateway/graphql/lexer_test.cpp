#include "gateway/graphql/lexer.hpp"

#include "gateway/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano::gateway;
using namespace altiplano::gateway::graphql;

namespace {

std::vector<Token> tokens(std::string_view text)
{
    const Limits limits;
    Lexer lexer(text, limits);
    std::vector<Token> all;
    for (;;) {
        auto token = lexer.next();
        if (!token) {
            ADD_FAILURE() << token.error().message;
            return all;
        }
        if (token->kind == Token::Kind::end)
            return all;
        all.push_back(*std::move(token));
    }
}
std::string text_of(std::string_view text)
{
    const auto all = tokens(text);
    return all.size() == 1 ? all[0].text : "not one token";
}
/// What is wrong with the text, as "line:column message".
std::string refusal(std::string_view text)
{
    const Limits limits;
    Lexer lexer(text, limits);
    for (;;) {
        const auto token = lexer.next();
        if (!token)
            return std::to_string(token.error().places[0].line) + ":" + std::to_string(token.error().places[0].column) + " "
                + token.error().message;
        if (token->kind == Token::Kind::end)
            return "nothing";
    }
}

}  // namespace

TEST(Lexer, passes_over_commas_comments_and_byte_order_marks_and_counts_lines_and_characters)
{
    const auto all = tokens("\xef\xbb\xbf# a comment, with { and é\r\n{ a,,,b\n  \"é\" ...c }");
    ASSERT_EQ(all.size(), 7U);
    EXPECT_EQ(all[0].place, (Place{2, 1}));
    EXPECT_EQ(all[2].text, "b");
    EXPECT_EQ(all[2].place, (Place{2, 7}));
    EXPECT_EQ(all[3].text, "é");
    EXPECT_EQ(all[4].place, (Place{3, 7})) << "two bytes, one character";
    EXPECT_TRUE(all[4].is("..."));
}

TEST(Lexer, knows_numbers)
{
    for (const auto* text : {"0", "-0", "7", "-120"})
        EXPECT_EQ(tokens(text).at(0).kind, Token::Kind::integer) << text;
    for (const auto* text : {"0.5", "-1e3", "2E-7", "3.25e+10"})
        EXPECT_EQ(tokens(text).at(0).kind, Token::Kind::real) << text;
    EXPECT_EQ(refusal("01"), "1:2 Syntax Error: Invalid number, unexpected digit after 0: \"1\".");
    EXPECT_EQ(refusal("-"), "1:2 Syntax Error: Invalid number, expected digit but got: <EOF>.");
    EXPECT_EQ(refusal("1."), "1:3 Syntax Error: Invalid number, expected digit but got: <EOF>.");
    EXPECT_EQ(refusal("1e"), "1:3 Syntax Error: Invalid number, expected digit but got: <EOF>.");
    EXPECT_EQ(refusal("1x"), "1:2 Syntax Error: Invalid number, expected digit but got: \"x\".");
}

TEST(Lexer, resolves_escapes_in_strings)
{
    EXPECT_EQ(text_of(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
    EXPECT_EQ(text_of(R"("\u00e9\u{1F600}\uD83D\uDE00")"), "é😀😀");
    EXPECT_EQ(text_of("\"\""), "");
    EXPECT_EQ(refusal(R"("\q")"), "1:2 Syntax Error: Invalid character escape sequence.");
    EXPECT_EQ(refusal(R"("\uD83D")"), "1:2 Syntax Error: Invalid Unicode escape sequence.");
    EXPECT_EQ(refusal(R"("\uDE00")"), "1:2 Syntax Error: Invalid Unicode escape sequence.");
    EXPECT_EQ(refusal(R"("\u{110000}")"), "1:2 Syntax Error: Invalid Unicode escape sequence.");
    EXPECT_EQ(refusal(R"("\u{}")"), "1:2 Syntax Error: Invalid Unicode escape sequence.");
    EXPECT_EQ(refusal("\"abc"), "1:5 Syntax Error: Unterminated string.");
    EXPECT_EQ(refusal("\"a\nb\""), "1:3 Syntax Error: Unterminated string.");
    EXPECT_EQ(refusal("\"a\x01\""), "1:3 Syntax Error: Invalid character within String: byte 0x01.");
}

TEST(Lexer, takes_common_indentation_and_blank_ends_off_block_strings)
{
    EXPECT_EQ(text_of("\"\"\"\n    Hello,\n      World!\n\n    Yours,\n      GraphQL.\n  \"\"\""),
        "Hello,\n  World!\n\nYours,\n  GraphQL.");
    EXPECT_EQ(text_of(R"("""one \""" two""")"), R"(one """ two)");
    EXPECT_EQ(text_of("\"\"\"\"\"\""), "");
    EXPECT_EQ(refusal("\"\"\"abc"), "1:7 Syntax Error: Unterminated string.");
}

TEST(Lexer, names_what_no_query_has)
{
    EXPECT_EQ(refusal("{ a %"), "1:5 Syntax Error: Unexpected character: \"%\".");
    EXPECT_EQ(
        refusal("{ 'a' }"), "1:3 Syntax Error: Unexpected single quote character ('), did you mean to use a double quote (\")?");
    EXPECT_EQ(refusal(std::string_view("{ \0 }", 5)), "1:3 Syntax Error: Unexpected character: byte 0x00.");
    EXPECT_EQ(refusal(".."), "1:1 Syntax Error: Unexpected character: \".\".");
}

TEST(Lexer, ends_after_too_many_tokens)
{
    const Limits limits{.tokens = 3};
    Lexer lexer("a b c d", limits);
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(lexer.next());
    EXPECT_EQ(lexer.next().error().code, errors::over_limit);
}
