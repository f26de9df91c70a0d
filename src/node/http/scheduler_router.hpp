#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

namespace altiplano::node::http {

/// AO's scheduler as a router (ao-protocol.md 3.7): schedules nothing, but says with 307 which of several schedulers has a
/// process. A new process goes to the one that has fewest; where it went is durable before the client learns it.
/// @param schedulers  their URLs, at least one
Router scheduler_router(Node& node, std::vector<std::string> schedulers);

}  // namespace altiplano::node::http
