#pragma once

#include "gateway/graphql/schema.hpp"

namespace altiplano::gateway {

/// Most nodes of one page, as Goldsky's gateway has it; a larger `first` gives this many.
inline constexpr std::int64_t page_max = 1000;

/// The schema that Arweave's gateways serve: ar.io's, with what Goldsky's adds (`ingested_at`, `count`, tag filters that match
/// patterns, `INGESTED_AT_*`). Of static lifetime.
const graphql::Schema& arweave_schema();

}  // namespace altiplano::gateway
