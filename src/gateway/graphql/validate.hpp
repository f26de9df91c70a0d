#pragma once

#include "gateway/graphql/schema.hpp"

namespace altiplano::gateway::graphql {

/// Holds a query against the schema (specification 5), before anything of it is executed. Whether fields that share a key
/// are the same field is seen later, when fragments are resolved (plan.hpp).
/// @return what is wrong, in the order of the query, at most `limits.problems`; empty: all well
std::vector<Problem> validate(const Schema& schema, const Document& document, const Limits& limits);

}  // namespace altiplano::gateway::graphql
