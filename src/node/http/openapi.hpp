#pragma once

#include "node/http/router.hpp"

namespace altiplano::node::http {

/// The OpenAPI 3.1 document of a table of routes: every path and method, what they are for, the parameters of the path, the
/// limit of the body, and the shape of errors.
std::string openapi(const Router& router);

}  // namespace altiplano::node::http
