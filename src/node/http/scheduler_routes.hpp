#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// AO's scheduler unit at the root of a table (ao-protocol.md 3): mounted at /su, and on a port of its own.
Router scheduler_routes(Node& node);

}  // namespace altiplano::node::http
