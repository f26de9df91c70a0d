#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// What is ours alone, under `/~altiplano/`: what the command line asks for.
void add_own_routes(Router& router, Node& node);

}  // namespace altiplano::node::http
