#pragma once

#include "node/http/message.hpp"

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>

namespace altiplano::node::http {

/// A header as Beast read it. Absolute targets (http://host/path) lose what stands before the path.
/// @return node.bad_request for a target that is no path
Result<Request> to_request(const boost::beast::http::request_header<>& header);

}  // namespace altiplano::node::http
