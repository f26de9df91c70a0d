#include "base/base64url.hpp"
#include "gateway/tag_filter.hpp"
#include "gateway/test_gateway.hpp"

#include <algorithm>
#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::gateway;
using Ids = std::vector<std::string>;

TEST_F(AGateway, answers_every_field_of_a_data_item)
{
    const auto alice = signer(1);
    const Digest target = sha256(as_bytes("target"));
    const auto one = item::build({.target = target,
                                     .anchor = "00000000000000000000000000000007",
                                     .tags = {{"Content-Type", "text/plain"}, {"A", "1"}, {"A", "2"}},
                                     .data = to_buffer("hello")},
        alice)
                         .value();
    put(one);
    const auto block = weave->tip().value();
    EXPECT_EQ(
        ask(fmt::format(R"({{ transaction(id: "{}") {{ id anchor signature recipient owner {{ address key }} fee {{ winston ar }}
        quantity {{ winston ar }} data {{ size type }} tags {{ name value }} block {{ id timestamp height previous }}
        bundledIn {{ id }} parent {{ id }} ingested_at }} }})",
            one.id().text())),
        fmt::format(
            R"({{"data":{{"transaction":{{"id":"{}","anchor":"{}","signature":"{}","recipient":"{}","owner":{{"address":"{}","key":"{}"}},)"
            R"("fee":{{"winston":"0","ar":"0.000000000000"}},"quantity":{{"winston":"0","ar":"0.000000000000"}},)"
            R"("data":{{"size":"5","type":"text/plain"}},"tags":[{{"name":"Content-Type","value":"text/plain"}},)"
            R"({{"name":"A","value":"1"}},{{"name":"A","value":"2"}}],"block":{{"id":"{}","timestamp":{},"height":1,)"
            R"("previous":"{}"}},"bundledIn":null,"parent":null,"ingested_at":{}}}}}}})",
            one.id().text(), base64url(as_bytes("00000000000000000000000000000007")), base64url(one.header().signature()),
            target.text(), alice.address().text(), base64url(one.header().owner_key()), block.hash.text(),
            block.timestamp_ms / 1000, block.previous.text(), block.timestamp_ms / 1000));
}

TEST_F(AGateway, gives_empty_texts_for_what_an_item_lacks_and_null_for_an_item_that_is_not_there)
{
    const auto id = put(item({}, signer(1)));
    EXPECT_EQ(
        ask(fmt::format(R"({{ transaction(id: "{}") {{ anchor recipient tags {{ name }} data {{ type }} }} }})", id.text())),
        R"({"data":{"transaction":{"anchor":"","recipient":"","tags":[],"data":{"type":null}}}})");
    EXPECT_EQ(ask(fmt::format(R"({{ transaction(id: "{}") {{ id }} b: transaction(id: "no id") {{ id }} }})", ItemId{}.text())),
        R"({"data":{"transaction":null,"b":null}})");
    EXPECT_TRUE(transactions(R"(ids: ["no id"])").ids.empty());
}

TEST_F(AGateway, shows_tags_that_are_no_text_as_text)
{
    const auto id = put(item({{"a\xff", "b\xc3"}}, signer(1)));
    EXPECT_EQ(ask(fmt::format(R"({{ transaction(id: "{}") {{ tags {{ name value }} }} }})", id.text())),
        "{\"data\":{\"transaction\":{\"tags\":[{\"name\":\"a\xef\xbf\xbd\",\"value\":\"b\xef\xbf\xbd\"}]}}}");
}

TEST_F(AGateway, finds_an_item_as_soon_as_it_is_taken_in)
{
    for (int i = 0; i < 20; ++i) {
        const auto id = put(item({{"Number", std::to_string(i)}}, signer(1)));
        EXPECT_EQ(transactions(fmt::format(R"(tags: [{{name: "Number", values: ["{}"]}}])", i)).ids, Ids{id.text()});
    }
}

TEST_F(AGateway, pages_in_both_orders_and_says_exactly_whether_it_goes_on)
{
    Ids all;
    for (int i = 0; i < 7; ++i)
        all.push_back(put(item({{"A", "x"}, {"Number", std::to_string(i)}}, signer(1))).text());
    const auto filter = std::string(R"(tags: {name: "A", values: "x"})");  // One value stands for a list.
    const auto walk = [&](const std::string& sort, int first) {
        Ids seen;
        std::string after;
        for (;;) {
            const auto got = transactions(fmt::format(R"({}, sort: {}, first: {}, after: "{}")", filter, sort, first, after));
            EXPECT_EQ(got.error, "");
            seen.insert(seen.end(), got.ids.begin(), got.ids.end());
            EXPECT_EQ(got.more, seen.size() < all.size()) << sort << first;
            if (!got.more || got.ids.empty())
                return seen;
            after = got.ids.back();
        }
    };
    const Ids reversed(all.rbegin(), all.rend());
    for (const int first : {1, 2, 3, 7, 8}) {
        EXPECT_EQ(walk("HEIGHT_ASC", first), all);
        EXPECT_EQ(walk("INGESTED_AT_ASC", first), all);
        EXPECT_EQ(walk("HEIGHT_DESC", first), reversed);
        EXPECT_EQ(walk("INGESTED_AT_DESC", first), reversed);
    }
    EXPECT_TRUE(transactions(filter + ", first: 0").more);
    EXPECT_EQ(transactions(filter + ", first: -1").error, "\"first\" is -1; it counts from 0 to 1000");
    EXPECT_EQ(transactions(filter + ", first: 100000").ids, reversed) << "at most 1000, without a complaint";
    EXPECT_EQ(transactions(R"(after: "WyIyMDIwIiwwXQ")").error, "\"WyIyMDIwIiwwXQ\" is no cursor of this gateway");
    EXPECT_EQ(transactions(fmt::format(R"(after: "{}")", ItemId{}.text())).error,
        fmt::format("there is no item {} to begin after", ItemId{}.text()));
}

TEST_F(AGateway, gives_ten_a_page_when_not_told_and_counts_on_demand)
{
    for (int i = 0; i < 12; ++i)
        put(item({{"A", i % 3 ? "x" : "y"}, {"N", std::to_string(i)}}, signer(1)));
    EXPECT_EQ(transactions("").ids.size(), 10U);
    EXPECT_EQ(ask(R"({ transactions(first: 2, tags: [{name: "A", values: ["x"]}]) { count } })"),
        R"({"data":{"transactions":{"count":8}}})");
}

TEST_F(AGateway, filters_by_owner_key_recipient_block_and_time)
{
    const auto alice = signer(1);
    const auto bob = signer(2);
    const auto target = sha256(as_bytes("target"));
    const auto a = put(item({}, alice)).text();
    const auto b = put(item({}, bob, target)).text();
    const auto c = put(item({}, alice, target)).text();
    const auto by = [](const std::string& owners) { return fmt::format("sort: HEIGHT_ASC, owners: [{}]", owners); };
    EXPECT_EQ(transactions(by(fmt::format("\"{}\", \"\"", alice.address().text()))).ids, (Ids{a, c})) << "as the aos CLI asks";
    EXPECT_TRUE(transactions(by("\"\"")).ids.empty());
    EXPECT_EQ(transactions(by("")).ids, (Ids{a, b, c})) << "an empty list filters nothing";
    EXPECT_EQ(transactions(fmt::format(R"(recipients: ["{}"])", target.text())).ids, (Ids{c, b}));
    EXPECT_EQ(transactions("block: {min: 2}").ids, (Ids{c, b}));
    EXPECT_EQ(transactions("block: {max: 1}").ids, (Ids{a}));
    EXPECT_EQ(transactions("block: {min: 2, max: 2}").ids, (Ids{b}));
    EXPECT_EQ(transactions("block: {min: -5, max: -1}").ids, Ids{});
    EXPECT_EQ(transactions("block: {min: 3, max: 2}").ids, Ids{});
    const auto second = weave->block(2).value().timestamp_ms / 1000;
    EXPECT_EQ(transactions(fmt::format("ingested_at: {{min: {}}}", second)).ids, (Ids{c, b}));
    EXPECT_EQ(transactions(fmt::format("ingested_at: {{max: {}}}", second)).ids, (Ids{b, a}));
    EXPECT_EQ(transactions(fmt::format("ids: [\"{}\", \"{}\", \"{}\"]", a, c, a)).ids, (Ids{c, a}));
    EXPECT_EQ(transactions("bundledIn: null").ids, (Ids{c, b, a}));
    EXPECT_EQ(transactions(fmt::format("bundledIn: [\"{}\"]", a)).ids, Ids{});
}

TEST_F(AGateway, filters_by_tags_in_all_the_ways_of_goldsky)
{
    const auto text = put(item({{"Content-Type", "text/plain"}, {"Title", "The Red cat, sleeping"}}, signer(1))).text();
    const auto html = put(item({{"Content-Type", "text/html"}, {"Title", "a red dog"}}, signer(1))).text();
    const auto wasm = put(item({{"Content-Type", "application/wasm"}}, signer(1))).text();
    const auto tagged = [&](const std::string& filters) {
        return transactions(fmt::format("sort: HEIGHT_ASC, tags: [{}]", filters)).ids;
    };
    EXPECT_EQ(tagged(R"({name: "Content-Type", values: ["text/html", "application/wasm"]})"), (Ids{html, wasm}));
    EXPECT_EQ(tagged(R"({name: "Content-Type", values: ["text/html"], op: NEQ})"), (Ids{text, wasm}));
    EXPECT_EQ(tagged(R"({name: "Title"})"), (Ids{text, html}));
    EXPECT_EQ(tagged(R"({name: "Title", op: NEQ})"), (Ids{wasm}));
    EXPECT_EQ(tagged(R"({values: ["a red dog"]})"), (Ids{html}));
    EXPECT_EQ(tagged(R"({name: "Title", values: []})"), Ids{}) << "any of none";
    EXPECT_EQ(tagged(R"({name: "Content-Type", values: ["text/*"], match: WILDCARD})"), (Ids{text, html}));
    EXPECT_EQ(tagged(R"({name: "Content-Type", values: ["text/*"], match: WILDCARD, op: NEQ})"), (Ids{wasm}));
    EXPECT_EQ(tagged(R"({name: "Title", values: ["cat red"], match: FUZZY_AND})"), (Ids{text}));
    EXPECT_EQ(tagged(R"({name: "Title", values: ["CAT dog"], match: FUZZY_OR})"), (Ids{text, html}));
    EXPECT_EQ(tagged(R"({name: "Title"}, {name: "Content-Type", values: ["text/html"]})"), (Ids{html}));
}

TEST(AWildcard, stands_for_any_text)
{
    EXPECT_TRUE(matches_wildcard("text/*", "text/"));
    EXPECT_TRUE(matches_wildcard("*a*b*", "xxaxxbxx"));
    EXPECT_TRUE(matches_wildcard("a*b*c", "abbbcbc"));
    EXPECT_TRUE(matches_wildcard("*", ""));
    EXPECT_FALSE(matches_wildcard("a*", "ba"));
    EXPECT_FALSE(matches_wildcard("*a", "ab"));
    EXPECT_FALSE(matches_wildcard("", "a"));
    EXPECT_FALSE(matches_wildcard(std::string(1000, '*') + "b", std::string(100'000, 'a')));
}

TEST_F(AGateway, answers_blocks)
{
    for (int i = 0; i < 4; ++i)
        put(item({{"Number", std::to_string(i)}}, signer(1)));
    const auto id = [&](std::uint64_t height) { return weave->block(height).value().hash.text(); };
    EXPECT_EQ(ask("query GetBlocks($min: Int!, $limit: Int!) { blocks(height: {min: $min}, first: $limit, sort: HEIGHT_ASC) "
                  "{ pageInfo { hasNextPage } edges { node { timestamp height } } } }",
                  R"({"min": 1, "limit": 2})"),
        fmt::format(
            R"({{"data":{{"blocks":{{"pageInfo":{{"hasNextPage":true}},"edges":[{{"node":{{"timestamp":{},"height":1}}}},)"
            R"({{"node":{{"timestamp":{},"height":2}}}}]}}}}}})",
            weave->block(1).value().timestamp_ms / 1000, weave->block(2).value().timestamp_ms / 1000));
    EXPECT_EQ(
        ask(fmt::format(
            R"({{ blocks(first: 2, after: "{}") {{ pageInfo {{ hasNextPage }} edges {{ cursor node {{ id }} }} }} }})", id(2))),
        fmt::format(
            R"({{"data":{{"blocks":{{"pageInfo":{{"hasNextPage":false}},"edges":[{{"cursor":"{0}","node":{{"id":"{0}"}}}},)"
            R"({{"cursor":"{1}","node":{{"id":"{1}"}}}}]}}}}}})",
            id(1), id(0)));
    EXPECT_EQ(ask(fmt::format(R"({{ block(id: "{}") {{ height previous }} none: block(id: "x") {{ id }} newest: block {{ height }}
                                 blocks(ids: ["{}", "{}", "x"], height: {{max: 3}}, sort: HEIGHT_ASC) {{ edges {{ node {{ height }} }} }} }})",
                  id(3), id(4), id(1))),
        fmt::format(R"({{"data":{{"block":{{"height":3,"previous":"{}"}},"none":null,"newest":{{"height":4}},)"
                    R"("blocks":{{"edges":[{{"node":{{"height":1}}}}]}}}}}})",
            id(2)));
}

TEST_F(AGateway, ends_a_search_that_costs_too_much_and_says_what_to_do)
{
    for (int i = 0; i < 100; ++i)
        put(item({{"A", i % 2 ? "x" : "y"}, {"N", std::to_string(i)}}, signer(1)));
    options.work = 50;
    const auto text =
        ask(R"({ transactions(tags: [{name: "N", values: ["nothing*"], match: WILDCARD}]) { edges { node { id } } } })");
    EXPECT_NE(text.find(R"("path":["transactions","edges"],"extensions":{"code":"store.too_much_work","hint":"add a filter)"),
        std::string::npos)
        << text;
    EXPECT_TRUE(text.starts_with(R"({"data":null,)")) << "edges must not be null, nor transactions";
}
