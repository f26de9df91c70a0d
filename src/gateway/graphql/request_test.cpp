// Validation, planning, execution and introspection, over a small schema of their own.
#include "gateway/graphql/request.hpp"

#include "gateway/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::gateway;
using namespace altiplano::gateway::graphql;

namespace {

const Schema& schema()
{
    static const Schema made(
        {
            {.kind = graphql::Kind::object,
                .name = "Query",
                .fields = {{"dog", "Dog", {}, {{.name = "name", .type = "String!"}}},
                    {"say", "String!", {},
                        {{.name = "text", .type = "String", .default_value = "\"woof\""},
                            {.name = "times", .type = "Int!", .default_value = "1"}, {.name = "collar", .type = "Collar"},
                            {.name = "how", .type = "[Mood!]"}, {.name = "id", .type = "ID"}}},
                    {"broken", "Int"}, {"old", "Int", {}, {}, "use `dog`"}}},
            {.kind = graphql::Kind::object,
                .name = "Dog",
                .fields = {{"name", "String!"}, {"age", "Int"}, {"mother", "Dog"}, {"friends", "[Dog!]"},
                    {"heart", "Dog!", "Fails, and must not be null."}}},
            {.kind = graphql::Kind::input,
                .name = "Collar",
                .inputs = {{.name = "size", .type = "Int!"}, {.name = "text", .type = "String", .default_value = "\"none\""}}},
            {.kind = graphql::Kind::enumeration, .name = "Mood", .values = {{"GLAD"}, {"SAD"}}},
        },
        "Query");
    return made;
}

class Dog final : public Object {
public:
    explicit Dog(std::string name)
        : name_(std::move(name))
    {
    }
    Result<Value> field(std::string_view field, const Inputs&) const override
    {
        const auto dog = [](std::string name) { return Value(std::shared_ptr<const Object>(std::make_shared<Dog>(name))); };
        if (field == "name")
            return Value(name_);
        if (field == "age")
            return Value(std::int64_t{5'000'000'000});
        if (field == "mother")
            return dog("mother of " + name_);
        if (field == "friends")
            return Value(Value::List{dog("Rex"), dog("Ada")});
        return fail(errors::bad_answer, "it beats too fast");
    }

private:
    std::string name_;
};

std::string text_of(const Input& input)
{
    if (const auto* text = std::get_if<std::string>(&input.value))
        return *text;
    if (const auto* number = std::get_if<std::int64_t>(&input.value))
        return std::to_string(*number);
    if (const auto* list = std::get_if<Input::List>(&input.value)) {
        std::string all;
        for (const auto& one : *list)
            all += text_of(one) + ";";
        return "[" + all + "]";
    }
    if (const auto* object = std::get_if<Input::Object>(&input.value)) {
        std::string all;
        for (const auto& [name, value] : *object)
            all += name + "=" + text_of(value) + ";";
        return "{" + all + "}";
    }
    return "null";
}

class Root final : public Object {
public:
    Result<Value> field(std::string_view field, const Inputs& arguments) const override
    {
        if (field == "dog")
            return Value(std::shared_ptr<const Object>(std::make_shared<Dog>(text_of(arguments.find("name")->second))));
        if (field == "broken")
            return fail(errors::bad_answer, "it is broken", "mend it");
        std::string all;
        for (const auto& [name, value] : arguments)
            all += name + "=" + text_of(value) + " ";
        return Value(all);
    }
};

std::string ask(
    std::string query, std::string variables = "", std::optional<std::string> operation = {}, const Limits& limits = {})
{
    return answer(schema(),
        {.query = std::move(query), .variables = std::move(variables), .operation_name = std::move(operation)}, Root(), limits)
        .json;
}
/// All problems of an answer that refuses, as "line:column message|...".
std::string refusal(
    std::string query, std::string variables = "", std::optional<std::string> operation = {}, const Limits& limits = {})
{
    const auto got = answer(schema(),
        {.query = std::move(query), .variables = std::move(variables), .operation_name = std::move(operation)}, Root(), limits);
    const auto json = JsonView::parse(got.json).value();
    if (!got.refused || json.find("data"))
        return "no refusal: " + got.json;
    std::string all;
    for (const auto& problem : json.find("errors")->elements()) {
        if (const auto places = problem.find("locations"); places && !places->elements().empty())
            all += fmt::format("{}:{} ", places->elements()[0].find("line")->raw(), places->elements()[0].find("column")->raw());
        all += *problem.find("message")->string() + "|";
    }
    return all;
}

}  // namespace

TEST(AQuery, is_answered_in_its_own_order_with_aliases_and_typenames)
{
    EXPECT_EQ(ask(R"({ b: dog(name: "B") { n: name __typename } a: dog(name: "A") { name } })"),
        R"({"data":{"b":{"n":"B","__typename":"Dog"},"a":{"name":"A"}}})");
}

TEST(AQuery, merges_fragments_and_fields_of_one_key)
{
    EXPECT_EQ(ask(R"({ dog(name: "A") { ...F mother { name } ... on Dog { mother { m: name } } ... { name } } }
                     fragment F on Dog { name mother { mother { name } } })"),
        R"({"data":{"dog":{"name":"A","mother":{"mother":{"name":"mother of mother of A"},"name":"mother of A","m":"mother of A"}}}})");
}

TEST(AQuery, leaves_out_what_its_directives_say)
{
    const std::string query = R"(query ($no: Boolean!) {
        dog(name: "A") { name @skip(if: $no) ... @include(if: $no) { mother { name } } ...F @skip(if: true) x: name } }
        fragment F on Dog { friends { name } })";
    EXPECT_EQ(ask(query, R"({"no": true})"), R"({"data":{"dog":{"mother":{"name":"mother of A"},"x":"A"}}})");
    EXPECT_EQ(ask(query, R"({"no": false})"), R"({"data":{"dog":{"name":"A","x":"A"}}})");
}

TEST(AQuery, coerces_literals_and_fills_in_defaults)
{
    EXPECT_EQ(ask("{ say }"), R"({"data":{"say":"text=woof times=1 "}})");
    EXPECT_EQ(ask(R"({ say(text: null, collar: {size: 3}, how: GLAD, id: 7) })"),
        R"({"data":{"say":"collar={size=3;text=none;} how=[GLAD;] id=7 text=null times=1 "}})");
}

TEST(AQuery, coerces_variables)
{
    const std::string query = "query ($t: String, $n: Int = 4, $c: Collar, $h: [Mood!], $i: ID) "
                              "{ say(text: $t, times: $n, collar: $c, how: $h, id: $i) }";
    EXPECT_EQ(ask(query), R"({"data":{"say":"text=woof times=4 "}})") << "what is not given leaves the default";
    EXPECT_EQ(ask(query, R"({"t": "x", "n": 2.0, "c": {"size": 1, "text": null}, "h": "SAD", "i": 12, "more": [1]})"),
        R"({"data":{"say":"collar={size=1;text=null;} how=[SAD;] id=12 text=x times=2 "}})");
    EXPECT_EQ(ask("query ($m: Mood!, $s: Int!) { say(how: [GLAD, $m], collar: {size: $s}) }", R"({"m": "SAD", "s": 9})"),
        R"({"data":{"say":"collar={size=9;text=none;} how=[GLAD;SAD;] text=woof times=1 "}})");
}

TEST(AQuery, refuses_variables_of_another_type)
{
    const auto refused = [](std::string type, std::string json) {
        const auto field = type.starts_with("Int") ? "times"
            : type.starts_with("Collar")           ? "collar"
            : type[0] == '['                       ? "how"
                                                   : "text";
        return refusal(fmt::format("query ($v: {}) {{ say({}: $v) }}", type, field), json);
    };
    EXPECT_EQ(refused("Int!", "{}"), "1:8 Variable \"$v\" of required type \"Int!\" was not provided.|");
    EXPECT_EQ(refused("Int!", R"({"v": null})"), "1:8 Variable \"$v\" got invalid value null; expected type \"Int!\".|");
    for (const auto* wrong : {"\"1\"", "1.5", "2147483648", "-3e9", "true", "[1, 2]", "{}"})
        EXPECT_EQ(refused("Int!", fmt::format("{{\"v\": {}}}", wrong)),
            fmt::format("1:8 Variable \"$v\" got invalid value {}; expected type \"Int!\".|", wrong));
    EXPECT_EQ(refused("String", R"({"v": 1})"), "1:8 Variable \"$v\" got invalid value 1; expected type \"String\".|");
    EXPECT_EQ(refused("[Mood!]", R"({"v": ["GLAD", "MAD"]})"),
        "1:8 Variable \"$v[1]\" got invalid value \"MAD\"; expected type \"Mood!\".|");
    EXPECT_EQ(refused("Collar", R"({"v": {}})"),
        "1:8 Variable \"$v\" got invalid value: field \"size\" of required type \"Int!\" was not provided.|");
    EXPECT_EQ(refused("Collar", R"({"v": {"size": 1, "sise": 2}})"),
        "1:8 Variable \"$v\" got invalid value: field \"sise\" is not defined by type \"Collar\".|");
    EXPECT_EQ(refused("Int!", "[]"), "1:1 \"variables\" is no object.|");
    EXPECT_TRUE(refused("Int!", "{").starts_with("\"variables\" is no JSON: "));
}

TEST(AQuery, runs_the_operation_that_is_named)
{
    const std::string two = "query One { say(times: 1) } query Two { say(times: 2) }";
    EXPECT_EQ(ask(two, "", "Two"), R"({"data":{"say":"text=woof times=2 "}})");
    EXPECT_EQ(refusal(two), "Must provide operation name if query contains multiple operations.|");
    EXPECT_EQ(refusal(two, "", "Three"), "Unknown operation named \"Three\".|");
    EXPECT_EQ(ask("query One { say }", "", ""), R"({"data":{"say":"text=woof times=1 "}})");
}

TEST(AQuery, that_does_not_fit_the_schema_is_refused_with_line_column_and_a_hint)
{
    const auto got = ask("{\n  dgo(name: \"A\") { name }\n}");
    EXPECT_EQ(got,
        R"({"errors":[{"message":"Cannot query field \"dgo\" on type \"Query\".","locations":[{"line":2,"column":3}],)"
        R"("extensions":{"code":"gateway.bad_query","hint":"did you mean \"dog\"?"}}]})");
    // A row per rule of the specification's chapter 5.
    const std::pair<const char*, const char*> table[] = {
        {"{ dog(name: \"A\") }", "1:3 Field \"dog\" of type \"Dog\" must have a selection of subfields.|"},
        {"{ say { x } }", "1:7 Field \"say\" must not have a selection since type \"String!\" has no subfields.|"},
        {"{ dog { name } }", "1:3 Field \"dog\" argument \"name\" of type \"String!\" is required, but it was not provided.|"},
        {"{ dog(name: \"A\", nmae: 1) { name } }", "1:18 Unknown argument \"nmae\" on Field \"dog\".|"},
        {"{ dog(name: \"A\", name: \"A\") { name } }", "1:18 There can be only one argument named \"name\".|"},
        {"{ dog(name: null) { name } }", "1:13 Expected value of type \"String!\", found null.|"},
        {"{ say(times: \"1\") }", "1:14 Expected value of type \"Int!\", found \"1\".|"},
        {"{ say(times: 1.0) }", "1:14 Expected value of type \"Int!\", found 1.0.|"},
        {"{ say(times: 2147483648) }", "1:14 Expected value of type \"Int!\", found 2147483648.|"},
        {"{ say(text: GLAD) }", "1:13 Expected value of type \"String\", found GLAD.|"},
        {"{ say(how: [GLAD, MAD]) }", "1:19 Expected value of type \"Mood!\", found MAD.|"},
        {"{ say(how: [null]) }", "1:13 Expected value of type \"Mood!\", found null.|"},
        {"{ say(collar: {}) }", "1:15 Field \"Collar.size\" of required type \"Int!\" was not provided.|"},
        {"{ say(collar: {size: 1, size: 2}) }", "1:25 There can be only one input field named \"size\".|"},
        {"{ say(collar: {size: 1, x: 2}) }", "1:25 Field \"x\" is not defined by type \"Collar\".|"},
        {"{ say(collar: 1) }", "1:15 Expected value of type \"Collar\", found 1.|"},
        {"{ say @skip }", "1:7 Directive \"@skip\" argument \"if\" of type \"Boolean!\" is required, but it was not provided.|"},
        {"{ say @nope }", "1:7 Unknown directive \"@nope\".|"},
        {"query @skip(if: true) { say }", "1:7 Directive \"@skip\" may not be used on QUERY.|"},
        {"{ say @skip(if: true) @skip(if: false) }", "1:23 The directive \"@skip\" can only be used once at this location.|"},
        {"query A { say } query A { say }", "1:23 There can be only one operation named \"A\".|"},
        {"{ say } query A { say }", "1:1 This anonymous operation must be the only defined operation.|"},
        {"mutation { say }", "1:1 Schema is not configured to execute mutation operation.|"},
        {"subscription { say }", "1:1 Schema is not configured to execute subscription operation.|"},
        {"fragment F on Dog { name }", "1:1 The query holds no operation.|1:1 Fragment \"F\" is never used.|"},
        {"{ ...F }", "1:6 Unknown fragment \"F\".|"},
        {"{ dog(name: \"A\") { ...F } } fragment F on Dog { name } fragment F on Dog { age }",
            "1:65 There can be only one fragment named \"F\".|"},
        {"{ ...F } fragment F on Dog { name }",
            "1:3 Fragment cannot be spread here as objects of type \"Query\" can never be of type \"Dog\".|"},
        {"{ ... on Dog { name } }",
            "1:3 Fragment cannot be spread here as objects of type \"Query\" can never be of type \"Dog\".|"},
        {"{ ... on Cat { name } }", "1:10 Unknown type \"Cat\".|"},
        {"{ ... on Mood { name } }", "1:10 Fragment cannot condition on non composite type \"Mood\".|"},
        {"{ dog(name: \"A\") { ...F } } fragment F on Dog { mother { ...G } } fragment G on Dog { ...F }",
            "1:87 Cannot spread fragment \"F\" within itself.|"},
        {"query ($a: Int, $a: Int) { say(times: $a) }", "1:17 There can be only one variable named \"$a\".|"},
        {"query ($a: Dog) { say }",
            "1:8 Variable \"$a\" is never used in operation.|1:12 Variable \"$a\" cannot be non-input type \"Dog\".|"},
        {"query ($a: Cat) { say(text: $a) }",
            "1:12 Unknown type \"Cat\".|1:29 Variable \"$a\" of type \"Cat\" used in position expecting type \"String\".|"},
        {"query ($a: Int! = \"x\") { say(times: $a) }", "1:19 Expected value of type \"Int!\", found \"x\".|"},
        {"query Q { say(times: $a) }", "1:22 Variable \"$a\" is not defined by operation \"Q\".|"},
        {"query ($a: String) { dog(name: \"A\") { ...F } } fragment F on Dog { mother { name @skip(if: $a) } }",
            "1:92 Variable \"$a\" of type \"String\" used in position expecting type \"Boolean!\".|"},
        {"query ($a: [Mood]) { say(how: $a) }",
            "1:31 Variable \"$a\" of type \"[Mood]\" used in position expecting type \"[Mood!]\".|"},
        {"{ say say: dog(name: \"A\") { name } }",
            "1:3 Fields \"say\" conflict because they have different names or arguments.|"},
        {"{ say(times: 1) say(times: 2) }", "1:3 Fields \"say\" conflict because they have different names or arguments.|"},
        {"{ dog(name: \"A\") { x: name } ...F } fragment F on Query { dog(name: \"A\") { x: age } }",
            "1:20 Fields \"x\" conflict because they have different names or arguments.|"},
        {"{ __type { name } }",
            "1:3 Field \"__type\" argument \"name\" of type \"String!\" is required, but it was not provided.|"},
        {"{ dog(name: \"A\") { __schema { types { name } } } }", "1:20 Cannot query field \"__schema\" on type \"Dog\".|"},
    };
    for (const auto& [query, expected] : table)
        EXPECT_EQ(refusal(query), expected) << query;
}

TEST(AQuery, reports_several_problems_at_once_but_not_endlessly)
{
    EXPECT_EQ(
        refusal("{ a b }"), "1:3 Cannot query field \"a\" on type \"Query\".|1:5 Cannot query field \"b\" on type \"Query\".|");
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "x" + std::to_string(i) + " ";
    const auto all = refusal("{ " + many + "}");
    EXPECT_EQ(std::ranges::count(all, '|'), 20);
}

TEST(AField, that_fails_is_null_and_named_by_its_path)
{
    EXPECT_EQ(ask("{ say broken }"),
        R"({"data":{"say":"text=woof times=1 ","broken":null},"errors":[{"message":"it is broken",)"
        R"("locations":[{"line":1,"column":7}],"path":["broken"],"extensions":{"code":"gateway.bad_answer","hint":"mend it"}}]})");
}

TEST(AField, that_must_not_be_null_makes_what_holds_it_null)
{
    // `heart` is Dog!, in friends [Dog!], in mother Dog: the list is the nearest that may be null.
    EXPECT_EQ(ask(R"({ dog(name: "A") { name friends { name heart { name } } age } })"),
        R"({"data":{"dog":{"name":"A","friends":null,"age":null}},"errors":[)"
        R"({"message":"it beats too fast","locations":[{"line":1,"column":40}],"path":["dog","friends",0,"heart"],)"
        R"("extensions":{"code":"gateway.bad_answer"}},)"
        R"({"message":"Dog.age has a value that \"Int\" cannot hold.","locations":[{"line":1,"column":57}],"path":["dog","age"],)"
        R"("extensions":{"code":"gateway.bad_answer"}}]})");
}

TEST(ARequest, may_cost_only_so_much)
{
    std::string wide = "{ ";
    for (int i = 0; i < 5001; ++i)
        wide += "a" + std::to_string(i) + ": say ";
    EXPECT_EQ(refusal(wide + "}"), "1:53893 the query asks for more than 5000 fields|");

    // Each fragment spreads the next one twice, under two keys: 2^30 fields in a few lines.
    std::string bomb = "{ dog(name: \"A\") { ...F0 } } ";
    for (int i = 0; i < 15; ++i)
        bomb += fmt::format("fragment F{} on Dog {{ a: mother {{ ...F{} }} b: mother {{ ...F{} }} }} ", i, i + 1, i + 1);
    EXPECT_NE(refusal(bomb + "fragment F15 on Dog { name }").find("the query asks for more than 5000 fields"), std::string::npos);

    // The same with one key: nothing to answer, but much to look at.
    std::string merge = "{ dog(name: \"A\") { ...F0 } } ";
    for (int i = 0; i < 15; ++i)
        merge += fmt::format("fragment F{} on Dog {{ mother {{ ...F{} }} mother {{ ...F{} }} }} ", i, i + 1, i + 1);
    EXPECT_TRUE(ask(merge + "fragment F15 on Dog { name }").starts_with(R"({"data":{"dog":{"mother":{"mother")"));

    EXPECT_NE(refusal("{ dog(name: \"A\") { friends { friends { name } } } }", "", {}, {.values = 5}).find("more than 5 values"),
        std::string::npos);
    EXPECT_NE(refusal("{ dog(name: \"A\") { friends { name } } }", "", {}, {.answer_bytes = 10}).find("or 10 bytes"),
        std::string::npos);
    std::string chain = "{ dog(name: \"A\") { ...F0 } } ";
    for (int i = 0; i < 30; ++i)
        chain += fmt::format("fragment F{} on Dog {{ mother {{ ...F{} }} }} ", i, i + 1);
    EXPECT_NE(refusal(chain + "fragment F30 on Dog { name }").find("nested more than 20 levels deep"), std::string::npos);
}

TEST(TheSchema, can_be_asked)
{
    EXPECT_EQ(ask(R"({ __type(name: "Query") { kind name fields { name isDeprecated type { kind ofType { name } } } } })"),
        R"({"data":{"__type":{"kind":"OBJECT","name":"Query","fields":[)"
        R"({"name":"dog","isDeprecated":false,"type":{"kind":"OBJECT","ofType":null}},)"
        R"({"name":"say","isDeprecated":false,"type":{"kind":"NON_NULL","ofType":{"name":"String"}}},)"
        R"({"name":"broken","isDeprecated":false,"type":{"kind":"SCALAR","ofType":null}}]}}})");
    EXPECT_EQ(ask(R"({ __type(name: "Query") { fields(includeDeprecated: true) { name deprecationReason } } })"),
        R"({"data":{"__type":{"fields":[{"name":"dog","deprecationReason":null},{"name":"say","deprecationReason":null},)"
        R"({"name":"broken","deprecationReason":null},{"name":"old","deprecationReason":"use `dog`"}]}}})");
    EXPECT_EQ(ask(R"({ __type(name: "Collar") { inputFields { name defaultValue type { kind } } } m: __type(name: "Mood")
                       { enumValues { name } } none: __type(name: "Cat") { name } })"),
        R"({"data":{"__type":{"inputFields":[{"name":"size","defaultValue":null,"type":{"kind":"NON_NULL"}},)"
        R"({"name":"text","defaultValue":"\"none\"","type":{"kind":"SCALAR"}}]},"m":{"enumValues":[{"name":"GLAD"},{"name":"SAD"}]},)"
        R"("none":null}})");
    EXPECT_EQ(ask("{ __schema { queryType { name } mutationType { name } directives { name } } __typename }"),
        R"({"data":{"__schema":{"queryType":{"name":"Query"},"mutationType":null,"directives":[{"name":"include"},)"
        R"({"name":"skip"},{"name":"deprecated"}]},"__typename":"Query"}})");
}
