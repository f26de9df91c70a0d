#include "gateway/graphql/parser.hpp"

#include "gateway/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano::gateway;
using namespace altiplano::gateway::graphql;

namespace {

std::string refusal(std::string_view text, const Limits& limits = {})
{
    const auto document = parse(text, limits);
    if (document)
        return "nothing";
    const auto& problem = document.error();
    return std::to_string(problem.places[0].line) + ":" + std::to_string(problem.places[0].column) + " " + problem.message;
}

}  // namespace

TEST(Parser, reads_all_that_a_query_may_be_made_of)
{
    const auto document = parse(R"(
        query Find($ids: [ID!]! = ["a", "b"], $skip: Boolean = false) @include(if: true) {
            mine: transactions(ids: $ids, tags: [{name: "A", values: ["1"]}], first: 5, sort: HEIGHT_ASC) {
                edges { node { id ...Rest @skip(if: $skip) ... on Transaction { anchor } ... @include(if: true) { fee { ar } } } }
            }
        }
        fragment Rest on Transaction { tags { name } }
        query { blocks { edges { cursor } } })",
        {});
    ASSERT_TRUE(document) << document.error().message;
    ASSERT_EQ(document->operations.size(), 2U);
    const auto& find = document->operations[0];
    EXPECT_EQ(find.name, "Find");
    EXPECT_EQ(find.place, (Place{2, 9}));
    EXPECT_EQ(find.variables.at(0).type.text(), "[ID!]!");
    EXPECT_EQ(find.variables.at(0).default_value->elements.size(), 2U);
    const auto& mine = find.selections.at(0);
    EXPECT_EQ(mine.alias, "mine");
    EXPECT_EQ(mine.name, "transactions");
    EXPECT_EQ(mine.arguments.at(0).value.kind, Literal::Kind::variable);
    EXPECT_EQ(mine.arguments.at(1).value.elements.at(0).members.at(1).name, "values");
    EXPECT_EQ(mine.arguments.at(3).value.kind, Literal::Kind::enumeration);
    const auto& node = mine.selections.at(0).selections.at(0);
    EXPECT_EQ(node.selections.at(1).kind, Selection::Kind::spread);
    EXPECT_EQ(node.selections.at(2).type, "Transaction");
    EXPECT_FALSE(node.selections.at(3).type);
    EXPECT_EQ(document->fragment("Rest")->type, "Transaction");
}

TEST(Parser, names_what_it_found_and_what_it_expected_with_line_and_column)
{
    EXPECT_EQ(refusal(""), "1:1 Syntax Error: Unexpected <EOF>.");
    EXPECT_EQ(refusal("{"), "1:2 Syntax Error: Expected Name, found <EOF>.");
    EXPECT_EQ(refusal("{ }"), "1:3 Syntax Error: Expected Name, found \"}\".");
    EXPECT_EQ(refusal("{ a(first 5) }"), "1:11 Syntax Error: Expected \":\", found Int \"5\".");
    EXPECT_EQ(refusal("{ a(first: ) }"), "1:12 Syntax Error: Unexpected \")\".");
    EXPECT_EQ(refusal("{ a()\n}"), "1:5 Syntax Error: Expected Name, found \")\".");
    EXPECT_EQ(refusal("type A { b: Int }"), "1:1 Syntax Error: Unexpected Name \"type\".");
    EXPECT_EQ(refusal("fragment on on A { b }"), "1:10 Syntax Error: Unexpected Name \"on\".");
    EXPECT_EQ(refusal("fragment X in A { b }"), "1:12 Syntax Error: Expected \"on\", found Name \"in\".");
    EXPECT_EQ(refusal("query ($a: Int = $b) { c }"), "1:18 Syntax Error: Unexpected variable in a constant value.");
    EXPECT_EQ(refusal("{ a } b"), "1:7 Syntax Error: Unexpected Name \"b\".");
    EXPECT_EQ(refusal("{ a: \xff }"), "1:1 Syntax Error: the query is not UTF-8.");
}

TEST(Parser, stops_at_its_limits)
{
    std::string deep;
    for (int i = 0; i < 100'000; ++i)
        deep += "{a";
    EXPECT_EQ(refusal(deep), "1:41 the query is nested more than 20 levels deep");
    EXPECT_EQ(refusal("{ a(b: " + std::string(50'000, '[')), "1:24 the query is nested more than 16 levels deep");
    EXPECT_EQ(refusal("query ($a: " + std::string(50'000, '[')), "1:28 the query is nested more than 16 levels deep");
    EXPECT_EQ(parse(std::string(300'000, ' '), {}).error().code, errors::over_limit);
    std::string many;
    for (int i = 0; i < 300; ++i)
        many += "query q" + std::to_string(i) + " { a } ";
    EXPECT_EQ(parse(many, {}).error().code, errors::over_limit);
}
