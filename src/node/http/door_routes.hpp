#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// What programs written for OpenAI's API find: /v1/chat/completions, /v1/completions, /v1/models. Errors are in its shape.
/// For a node that has a door. Where the node has API keys one is needed; where it has none, no web page of a stranger is
/// served, though its browser runs on this machine: the door signs for whoever asks.
Router door_routes(Node& node);

}  // namespace altiplano::node::http
