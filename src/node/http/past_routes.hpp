#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// What a process was after a slot, and what this node can be asked for: under `/~altiplano/`.
void add_past_routes(Router& router, Node& node);

}  // namespace altiplano::node::http
