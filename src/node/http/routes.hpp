#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// All paths of a node.
std::unique_ptr<Router> routes(Node& node);

}  // namespace altiplano::node::http
