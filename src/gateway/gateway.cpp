#include "gateway/gateway.hpp"

#include "gateway/arweave_schema.hpp"
#include "gateway/asked.hpp"
#include "gateway/errors.hpp"
#include "weave/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace altiplano::gateway {

namespace {

class Root final : public graphql::Object {
public:
    explicit Root(Asking asked)
        : asked_(std::move(asked))
    {
    }
    Result<graphql::Value> field(std::string_view field, const graphql::Inputs& arguments) const override
    {
        constexpr std::pair<std::string_view, decltype(&transaction)> table[] = {
            {"transaction", transaction},
            {"transactions", transactions},
            {"block", block},
            {"blocks", blocks},
        };
        const auto found = std::ranges::find(table, field, [](const auto& row) { return row.first; });
        ENSURE(found != std::end(table), "the schema has no other field");
        return found->second(asked_, arguments);
    }

private:
    Asking asked_;
};

class PlainObject final : public graphql::Object {
public:
    explicit PlainObject(std::vector<std::pair<std::string_view, graphql::Value>> fields)
        : fields_(std::move(fields))
    {
    }
    Result<graphql::Value> field(std::string_view field, const graphql::Inputs&) const override
    {
        const auto found = std::ranges::find(fields_, field, [](const auto& one) { return one.first; });
        ENSURE(found != fields_.end(), "whoever makes an object gives it all fields of its type");
        return found->second;
    }

private:
    std::vector<std::pair<std::string_view, graphql::Value>> fields_;
};

}  // namespace

graphql::Answer Gateway::query(const graphql::Request& request) const
{
    const Root root(std::make_shared<Asked>(weave_, records_, options_.work));
    return graphql::answer(arweave_schema(), request, root, options_.limits);
}

Result<const weave::Block*> Asked::block(std::uint64_t height)
{
    auto found = blocks_.find(height);
    if (found != blocks_.end())
        return &found->second;
    auto heights = std::exchange(expected_blocks_, {});
    if (!std::ranges::binary_search(heights, height))
        heights.push_back(height);
    TRY(auto read, records_.block_heads(heights));
    for (auto& block : read)
        blocks_.insert_or_assign(block.height, std::move(block));
    found = blocks_.find(height);
    if (found == blocks_.end())
        return fail(weave::errors::unknown_block, fmt::format("there is no block {}", height));
    return &found->second;
}

void Asked::expect_blocks(std::vector<std::uint64_t> heights)
{
    std::ranges::sort(heights);
    heights.erase(std::ranges::unique(heights).begin(), heights.end());
    std::erase_if(heights, [&](std::uint64_t height) { return blocks_.contains(height); });
    expected_blocks_ = std::move(heights);
}

Result<std::uint64_t> Asked::height_from(std::int64_t second)
{
    TRY(const auto tip, weave_.tip());
    std::uint64_t low = 0;
    std::uint64_t high = tip.height + 1;
    // Times strictly increase with the height.
    while (low < high) {
        const auto middle = low + (high - low) / 2;
        TRY(const auto* found, block(middle));
        if (found->timestamp_ms / 1000 >= second)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

std::optional<std::string> text_argument(const graphql::Inputs& arguments, std::string_view name)
{
    const auto found = arguments.find(name);
    const auto* text = found == arguments.end() ? nullptr : std::get_if<std::string>(&found->second.value);
    return text ? std::optional(*text) : std::nullopt;
}

std::optional<std::vector<std::string>> texts_argument(const graphql::Inputs& arguments, std::string_view name)
{
    const auto found = arguments.find(name);
    const auto* list = found == arguments.end() ? nullptr : std::get_if<graphql::Input::List>(&found->second.value);
    if (!list)
        return std::nullopt;
    std::vector<std::string> texts;
    for (const auto& one : *list)
        texts.push_back(std::get<std::string>(one.value));
    return texts;
}

Result<Page> page_of(const graphql::Inputs& arguments)
{
    const auto first = arguments.find("first");
    const auto* number = first == arguments.end() ? nullptr : std::get_if<std::int64_t>(&first->second.value);
    const auto wanted = number ? *number : 10;
    if (wanted < 0)
        return fail(errors::bad_query, fmt::format("\"first\" is {}; it counts from 0 to {}", wanted, page_max));
    auto after = text_argument(arguments, "after");
    // Clients that page begin with an empty cursor.
    if (after && after->empty())
        after.reset();
    const auto sort = text_argument(arguments, "sort").value_or("HEIGHT_DESC");
    return Page{.first = static_cast<std::size_t>(std::min(wanted, page_max)),
        .after = std::move(after),
        .newest_first = sort.ends_with("_DESC")};
}

Range range_of(const graphql::Inputs& arguments, std::string_view name)
{
    const auto found = arguments.find(name);
    if (found == arguments.end())
        return {};
    const auto end = [&](std::string_view which) -> std::optional<std::int64_t> {
        const auto* value = found->second.member(which);
        return value ? std::optional(std::get<std::int64_t>(value->value)) : std::nullopt;
    };
    return {.min = end("min"), .max = end("max")};
}

std::shared_ptr<const graphql::Object> plain_object(std::vector<std::pair<std::string_view, graphql::Value>> fields)
{
    return std::make_shared<PlainObject>(std::move(fields));
}

std::shared_ptr<const graphql::Object> edge_object(Edge edge)
{
    return plain_object({{"cursor", std::move(edge.cursor)}, {"node", std::move(edge.node)}});
}

std::shared_ptr<const graphql::Object> page_info_object(bool has_next_page)
{
    return plain_object({{"hasNextPage", has_next_page}});
}

}  // namespace altiplano::gateway
