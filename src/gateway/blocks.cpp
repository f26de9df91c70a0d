// `block` and `blocks`.
#include "gateway/arweave_schema.hpp"
#include "gateway/asked.hpp"
#include "gateway/errors.hpp"
#include "weave/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace altiplano::gateway {

namespace {

/// The height of the block with this id; nothing when there is none, or the text is no id.
Result<std::optional<std::uint64_t>> height_of(Asked& asked, const std::string& id)
{
    const auto hash = BlockHash::parse(id);
    if (!hash)
        return std::optional<std::uint64_t>{};
    TRY(const auto found, asked.records().block_by_hash(*hash));
    return found ? std::optional(found->height) : std::nullopt;
}

}  // namespace

std::shared_ptr<const graphql::Object> block_object(const weave::Block& block)
{
    return plain_object({{"id", block.hash.text()}, {"timestamp", block.timestamp_ms / 1000},
        {"height", static_cast<std::int64_t>(block.height)}, {"previous", block.previous.text()}});
}

Result<graphql::Value> block(const Asking& asked, const graphql::Inputs& arguments)
{
    // Without an id it is the newest, as a chain's explorers ask for it.
    const auto id = text_argument(arguments, "id");
    if (!id) {
        TRY(const auto tip, asked->weave().tip());
        return graphql::Value(block_object(tip));
    }
    TRY(const auto height, height_of(*asked, *id));
    if (!height)
        return graphql::Value{};
    TRY(const auto* found, asked->block(*height));
    return graphql::Value(block_object(*found));
}

Result<graphql::Value> blocks(const Asking& asked, const graphql::Inputs& arguments)
{
    TRY(const auto page, page_of(arguments));
    TRY(const auto tip, asked->weave().tip());

    // Which heights, from the lowest to the highest.
    const auto range = range_of(arguments, "height");
    auto low = std::max<std::int64_t>(range.min.value_or(0), 0);
    auto high = std::min<std::int64_t>(range.max.value_or(INT64_MAX), static_cast<std::int64_t>(tip.height));
    if (page.after) {
        TRY(const auto cursor, height_of(*asked, *page.after));
        if (!cursor)
            return fail(errors::bad_cursor, fmt::format("there is no block {} to begin after", page.after->substr(0, 100)),
                "a cursor comes from an edge of the page before");
        if (page.newest_first)
            high = std::min(high, static_cast<std::int64_t>(*cursor) - 1);
        else
            low = std::max(low, static_cast<std::int64_t>(*cursor) + 1);
    }
    std::optional<std::set<std::int64_t>> only;
    if (const auto ids = texts_argument(arguments, "ids"); ids && !ids->empty()) {
        only.emplace();
        for (const auto& id : *ids) {
            TRY(const auto height, height_of(*asked, id));
            if (height)
                only->insert(static_cast<std::int64_t>(*height));
        }
    }

    std::vector<std::int64_t> heights;
    bool more = false;
    const auto take = [&](std::int64_t height) {
        more = heights.size() == page.first;
        if (!more)
            heights.push_back(height);
        return !more;
    };
    if (only) {
        std::vector<std::int64_t> fitting;
        std::ranges::copy_if(*only, std::back_inserter(fitting), [&](auto height) { return height >= low && height <= high; });
        if (page.newest_first)
            std::ranges::reverse(fitting);
        for (const auto height : fitting)
            if (!take(height))
                break;
    } else if (page.newest_first) {
        for (auto height = high; height >= low && take(height); --height) { }
    } else {
        for (auto height = low; height <= high && take(height); ++height) { }
    }

    asked->expect_blocks({heights.begin(), heights.end()});
    graphql::Value::List edges;
    for (const auto height : heights) {
        TRY(const auto* found, asked->block(static_cast<std::uint64_t>(height)));
        edges.emplace_back(edge_object({.cursor = found->hash.text(), .node = block_object(*found)}));
    }
    return graphql::Value(plain_object({{"pageInfo", page_info_object(more)}, {"edges", std::move(edges)}}));
}

}  // namespace altiplano::gateway
