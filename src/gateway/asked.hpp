#pragma once

#include "gateway/graphql/execute.hpp"
#include "weave/weave.hpp"

namespace altiplano::gateway {

/// One request's view of the weave: what its objects ask, what they may still spend, what they have read already.
/// One thread.
class Asked {
public:
    Asked(weave::Weave& weave, store::Records& records, std::uint64_t work)
        : weave_(weave)
        , records_(records)
        , work_{work}
    {
    }

    weave::Weave& weave() noexcept { return weave_; }
    store::Records& records() noexcept { return records_; }
    store::Work& work() noexcept { return work_; }

    /// A block without its list of items, read once per request. Lives as long as this.
    Result<const weave::Block*> block(std::uint64_t height);
    /// That these are likely to be asked for: all are read when the first one is.
    void expect_blocks(std::vector<std::uint64_t> heights);
    /// The first height whose block is of this second or later; one past the tip when there is none.
    Result<std::uint64_t> height_from(std::int64_t second);

private:
    weave::Weave& weave_;
    store::Records& records_;
    store::Work work_;
    std::map<std::uint64_t, weave::Block> blocks_;
    std::vector<std::uint64_t> expected_blocks_;  ///< ascending
};

using Asking = std::shared_ptr<Asked>;

/// A text argument; nothing when it is missing or null.
std::optional<std::string> text_argument(const graphql::Inputs& arguments, std::string_view name);
/// A list of texts; nothing when it is missing or null.
std::optional<std::vector<std::string>> texts_argument(const graphql::Inputs& arguments, std::string_view name);

/// What `first`, `after` and `sort` say.
struct Page {
    std::size_t first;
    std::optional<std::string> after;  ///< the cursor, if there is one
    bool newest_first;
};
/// @return gateway.bad_query for a negative `first`
Result<Page> page_of(const graphql::Inputs& arguments);

/// A range of whole numbers, both ends in it; nothing for an end that was not given.
struct Range {
    std::optional<std::int64_t> min;
    std::optional<std::int64_t> max;
};
Range range_of(const graphql::Inputs& arguments, std::string_view name);

/// A connection (relay.dev/graphql/connections.htm) made of its parts.
struct Edge {
    std::string cursor;
    std::shared_ptr<const graphql::Object> node;
};
std::shared_ptr<const graphql::Object> edge_object(Edge edge);
std::shared_ptr<const graphql::Object> page_info_object(bool has_next_page);
/// An object whose fields are values already.
std::shared_ptr<const graphql::Object> plain_object(std::vector<std::pair<std::string_view, graphql::Value>> fields);

/// `transaction`, `transactions`, `block` and `blocks`.
Result<graphql::Value> transaction(const Asking& asked, const graphql::Inputs& arguments);
Result<graphql::Value> transactions(const Asking& asked, const graphql::Inputs& arguments);
Result<graphql::Value> block(const Asking& asked, const graphql::Inputs& arguments);
Result<graphql::Value> blocks(const Asking& asked, const graphql::Inputs& arguments);
/// A block as GraphQL shows it.
std::shared_ptr<const graphql::Object> block_object(const weave::Block& block);

}  // namespace altiplano::gateway
