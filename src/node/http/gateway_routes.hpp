#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// What an Arweave gateway serves (ao-protocol.md 11).
void add_gateway_routes(Router& router, Node& node);

}  // namespace altiplano::node::http
