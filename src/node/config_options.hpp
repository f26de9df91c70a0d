#pragma once

#include "node/config.hpp"
#include "node/http/server.hpp"
#include "node/node.hpp"

namespace altiplano::node {

/// What the settings mean for a node. @param program  runs as worker, unless the settings name another
/// @param processors  of this machine @return node.bad_config
Result<Node::Options> node_options(const Config& config, const Path& program, std::size_t processors);

/// And for the server in front of it. @return base.file_failed for an access log that cannot be written
Result<http::Server::Options> server_options(const Config& config, Clock& clock);

}  // namespace altiplano::node
