#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// What an Arweave node serves and arweave-js asks for: transactions, chunks, blocks, wallets, prices (ao-protocol.md 11.1).
void add_layer1_routes(Router& router, Node& node);

/// {"network","version","release","height","current",...}: the network and its newest block.
Result<Reply> network_info(Node& node);

}  // namespace altiplano::node::http
