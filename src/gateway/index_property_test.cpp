// What the index finds is what a plain look at every item finds: random items, random queries, every page of each.
#include "gateway/test_gateway.hpp"

#include <algorithm>
#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::gateway;

namespace {

/// A generator that gives the same numbers everywhere.
class Dice {
public:
    explicit Dice(std::uint64_t seed)
        : state_(seed)
    {
    }
    std::uint64_t below(std::uint64_t end)
    {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return (state_ >> 33) % end;
    }
    bool one_in(std::uint64_t chances) { return below(chances) == 0; }

private:
    std::uint64_t state_;
};

struct Known {
    std::string id;
    std::string owner;
    std::string target;
    item::Tags tags;
    std::int64_t height;
};

/// A random query, as text and as what it means.
struct Query {
    std::vector<std::string> arguments;
    std::vector<std::function<bool(const Known&)>> filters;

    template <class Filter> void add(std::string argument, Filter filter)
    {
        arguments.push_back(std::move(argument));
        filters.push_back(std::move(filter));
    }
    bool fits(const Known& one) const
    {
        return std::ranges::all_of(filters, [&](const auto& filter) { return filter(one); });
    }
};

std::string quoted(const std::vector<std::string>& texts)
{
    std::string all;
    for (const auto& text : texts)
        all += (all.empty() ? "" : ", ") + ("\"" + text + "\"");
    return "[" + all + "]";
}

bool is_in(const std::vector<std::string>& texts, const std::string& text)
{
    return std::ranges::find(texts, text) != texts.end();
}

Query random_query(Dice& dice, const std::vector<Known>& items)
{
    Query query;
    const auto some = [&](auto field) {
        std::vector<std::string> texts;
        for (auto left = 1 + dice.below(3); left > 0; --left)
            texts.push_back(field(items[dice.below(items.size())]));
        return texts;
    };
    if (dice.one_in(3)) {
        auto owners = some([](const Known& one) { return one.owner; });
        if (dice.one_in(2))
            owners.emplace_back();
        query.add("owners: " + quoted(owners), [owners](const Known& one) { return is_in(owners, one.owner); });
    }
    if (dice.one_in(4)) {
        const auto targets = some([](const Known& one) { return one.target.empty() ? std::string("x") : one.target; });
        query.add("recipients: " + quoted(targets), [targets](const Known& one) { return is_in(targets, one.target); });
    }
    if (dice.one_in(6)) {
        std::vector<std::string> ids;
        for (int i = 0; i < 40; ++i)
            ids.push_back(items[dice.below(items.size())].id);
        query.add("ids: " + quoted(ids), [ids](const Known& one) { return is_in(ids, one.id); });
    }
    if (dice.one_in(3)) {
        const auto min = static_cast<std::int64_t>(dice.below(80));
        const auto max = min + static_cast<std::int64_t>(dice.below(80));
        query.add(fmt::format("block: {{min: {}, max: {}}}", min, max),
            [=](const Known& one) { return one.height >= min && one.height <= max; });
    }
    std::string filters;
    for (auto left = dice.below(4); left > 0; --left) {
        const auto name = std::string(1, static_cast<char>('a' + dice.below(4)));
        std::vector<std::string> values;
        for (auto more = 1 + dice.below(3); more > 0; --more)
            values.push_back(std::to_string(dice.below(6)));
        const bool must_be = !dice.one_in(4);
        const bool wildcard = dice.one_in(5);
        filters += fmt::format("{{name: \"{}\", values: {}, op: {}, match: {}}} ", name, quoted(values), must_be ? "EQ" : "NEQ",
            wildcard ? "WILDCARD" : "EXACT");
        query.filters.emplace_back([=](const Known& one) {
            return std::any_of(one.tags.begin(), one.tags.end(), [&](const item::Tag& tag) {
                return tag.name == name && is_in(values, tag.value);
            }) == must_be;
        });
    }
    if (!filters.empty())
        query.arguments.push_back("tags: [" + filters + "]");
    return query;
}

}  // namespace

TEST_F(AGateway, finds_what_a_look_at_every_item_finds)
{
    Dice dice(20260101);
    std::vector<Known> items;
    // Blocks of several items, tags that are common, rare, repeated.
    for (int block = 0; block < 120; ++block) {
        std::vector<weave::NewItem> together;
        const auto first = items.size();
        for (auto left = 1 + dice.below(4); left > 0; --left) {
            item::Tags tags;
            for (auto more = dice.below(5); more > 0; --more)
                tags.add(std::string(1, static_cast<char>('a' + dice.below(4))),
                    std::to_string(dice.one_in(3) ? dice.below(6) : dice.below(2)));
            const auto target = dice.one_in(2) ? std::optional(sha256(as_bytes(std::to_string(dice.below(5))))) : std::nullopt;
            const auto one = item(tags, signer(static_cast<int>(dice.below(6))), target, std::to_string(items.size()));
            together.push_back(weave::stage_own(one, *blobs).value());
            items.push_back({one.id().text(), one.owner().text(), target ? target->text() : "", tags, 0});
        }
        const auto height = weave->put(std::move(together)).value().height;
        for (auto i = first; i < items.size(); ++i)
            items[i].height = static_cast<std::int64_t>(height);
    }

    std::size_t found = 0;
    for (int round = 0; round < 400; ++round) {
        const auto query = random_query(dice, items);
        const bool newest_first = dice.one_in(2);
        std::vector<std::string> expected;
        for (const auto& one : items)
            if (query.fits(one))
                expected.push_back(one.id);
        if (newest_first)
            std::ranges::reverse(expected);
        found += expected.size();

        std::vector<std::string> got;
        std::string after;
        const auto first = 1 + dice.below(60);
        for (;;) {
            const auto page = transactions(fmt::format("{} sort: {}, first: {}, after: \"{}\"", fmt::join(query.arguments, ", "),
                newest_first ? "HEIGHT_DESC" : "HEIGHT_ASC", first, after));
            ASSERT_EQ(page.error, "");
            got.insert(got.end(), page.ids.begin(), page.ids.end());
            ASSERT_EQ(page.more, got.size() < expected.size()) << fmt::format("{}", fmt::join(query.arguments, ", "));
            if (!page.more)
                break;
            ASSERT_FALSE(page.ids.empty());
            after = page.ids.back();
        }
        ASSERT_EQ(got, expected) << fmt::format("{}", fmt::join(query.arguments, ", "));
    }
    EXPECT_GT(found, 5000U) << "the queries found next to nothing, so they showed nothing";
}
