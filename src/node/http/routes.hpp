#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// All paths of a node: what a gateway and what a mainnet node have at the root, the units under /mu, /su and /cu.
std::unique_ptr<Router> routes(Node& node);

/// What ports of their own serve, in the order in which they follow the main port: the gateway again, which takes bundlers'
/// uploads, then messenger, scheduler and compute, each at the root (as the emulator of npm's `wao` has them).
std::vector<std::unique_ptr<Router>> alias_sites(Node& node);

}  // namespace altiplano::node::http
