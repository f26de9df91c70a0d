#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// AO's messenger unit at the root of a table (ao-protocol.md 4): mounted at /mu, and on a port of its own.
Router messenger_routes(Node& node);

/// Whom a message may be for.
enum class Targets {
    processes,  ///< an unknown one is an error
    anybody,  ///< what is no process is a wallet: the item is stored, as the original does
};
/// Takes a signed item in, as `POST /` of the messenger does.
Result<std::unique_ptr<Body>> take_message(Node& node, const Request& request, Targets targets);

}  // namespace altiplano::node::http
