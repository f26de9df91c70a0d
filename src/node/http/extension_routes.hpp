#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// `/extensions`: those of this program, and those of others that its operator offers.
void add_extension_routes(Router& router, Node& node);

}  // namespace altiplano::node::http
