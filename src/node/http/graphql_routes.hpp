#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// GraphQL, as gateways serve it at /graphql: POST with JSON or the query alone, GET with the same in the path's query.
void add_graphql_routes(Router& router, Node& node);

}  // namespace altiplano::node::http
