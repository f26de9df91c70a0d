#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// The data of items and transactions, by id and by the paths of manifests (ao-protocol.md 11.1).
void add_item_routes(Router& router, Node& node);

}  // namespace altiplano::node::http
