#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// `POST /tx` and what bundlers call it: data items of any size, bundles of them, transactions (ao-protocol.md 11.1).
void add_upload_routes(Router& router, Node& node);

}  // namespace altiplano::node::http
