#pragma once

#include "gateway/graphql/request.hpp"
#include "weave/weave.hpp"

namespace altiplano::gateway {

/// What Arweave's gateways answer beyond items by their ids: GraphQL over all that lies in the weave.
/// Safe from any thread. Borrows what it is given.
class Gateway {
public:
    struct Options {
        graphql::Limits limits{};
        std::uint64_t work = 2'000'000;  ///< rows that the searches of one request may look at, together
    };
    Gateway(weave::Weave& weave, store::Records& records, Options options)
        : weave_(weave)
        , records_(records)
        , options_(options)
    {
    }

    /// Answers a query; everything in it is hostile. An item is found from its acknowledgement on.
    graphql::Answer query(const graphql::Request& request) const;

private:
    weave::Weave& weave_;
    store::Records& records_;
    Options options_;
};

}  // namespace altiplano::gateway
