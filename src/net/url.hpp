#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace altiplano::net {

/// An absolute URL of http or https, taken apart by libcurl's own parser, which is also what connects.
struct Url {
    std::string text;  ///< as it is asked: dots of the path resolved, no fragment
    std::string scheme;
    std::string host;  ///< in lower case, without the brackets of an IPv6 address
    std::uint16_t port = 0;  ///< the scheme's own when the URL names none

    /// scheme://host:port, by which two URLs belong to one server
    std::string origin() const;
};

/// @return net.bad_url: another scheme, a user name or password in it, control characters, longer than 8 KiB
Result<Url> parse_url(std::string_view text);
/// Where a Location header of an answer from `base` leads. @return net.bad_url
Result<Url> parse_url(std::string_view text, const Url& base);

/// `base` without its last slash, and `path`, which begins with one.
std::string join(std::string_view base, std::string_view path);
/// Percent-encoding of everything but letters, digits and -._~
std::string encode(std::string_view text);

}  // namespace altiplano::net
