#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// What operators and their programs ask of every port: `/health`, `/ready`, `/metrics`, `/openapi.json`.
void add_health_routes(Router& router, Node& node);

}  // namespace altiplano::node::http
