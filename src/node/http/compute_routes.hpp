#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// AO's compute unit at the root of a table (ao-protocol.md 5): mounted at /cu, and on a port of its own.
Router compute_routes(Node& node);

}  // namespace altiplano::node::http
