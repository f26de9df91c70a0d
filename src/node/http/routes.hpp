#pragma once

#include "node/http/server.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// The paths of a node. Arweave's for items (`/info`, `/{id}`, `/raw/{id}`, `POST /tx`), messages to `POST /`, and what is
/// ours under `/~altiplano/`.
std::unique_ptr<Site> routes(Node& node);

}  // namespace altiplano::node::http
