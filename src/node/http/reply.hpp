#pragma once

#include "base/json.hpp"
#include "node/http/message.hpp"

namespace altiplano::node::http {

/// A JSON document and a line's end.
Reply json_reply(JsonWriter&& json, unsigned status = 200);
Reply text_reply(std::string text, unsigned status = 200);

/// A whole number. @param what  it is, for the error @return node.bad_request
Result<std::uint64_t> number_in(std::string_view text, std::string_view what);

/// A header's value must not begin another header: what is not printable ASCII is left out.
std::string one_line(std::string_view text);

}  // namespace altiplano::node::http
