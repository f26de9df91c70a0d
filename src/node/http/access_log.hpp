#pragma once

#include "base/clock.hpp"
#include "node/http/server.hpp"

namespace altiplano::node::http {

/// One line of JSON for a request that was answered.
std::string access_line(const Served& served, std::int64_t wall_ms);

/// Writes them to a file, "-" for stderr. @return base.file_failed
Result<std::function<void(const Served&)>> access_log(const std::string& path, Clock& clock);

}  // namespace altiplano::node::http
