#pragma once

#include "gateway/asked.hpp"

namespace altiplano::gateway {

/// The filters of `transactions` as a search: what the index can decide as terms and heights, the rest as a question to
/// each item. Empty lists filter nothing, as on other gateways; ids and addresses that are none fit no item.
/// @return gateway.bad_query, gateway.bad_cursor, store.*
Result<store::Find> search_of(Asked& asked, const graphql::Inputs& arguments);

}  // namespace altiplano::gateway
