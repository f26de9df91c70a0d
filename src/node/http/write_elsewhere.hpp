#pragma once

#include "node/http/message.hpp"
#include "node/node.hpp"

/// A node that follows another one's weave writes nothing into its copy, which would then no longer be one: what clients want to
/// write goes to the other node, whose answer they get.
namespace altiplano::node::http {

/// The other node's reply to this request. @param body  of the request
Reply write_elsewhere(Node& node, const Request& request, Buffer body);

/// Takes a body of at most 64 MiB and sends it there.
std::unique_ptr<Body> take_for_elsewhere(Node& node, const Request& request);

}  // namespace altiplano::node::http
