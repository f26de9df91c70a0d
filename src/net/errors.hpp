#pragma once

#include <string_view>

/// The codes of the room `net`.
namespace altiplano::net::errors {
inline constexpr std::string_view bad_url = "net.bad_url";  ///< no http or https URL, or one with a user name
inline constexpr std::string_view bad_rule = "net.bad_rule";  ///< a configured address that says no network and no host
inline constexpr std::string_view address_refused = "net.address_refused";  ///< neither public nor configured
inline constexpr std::string_view unreachable = "net.unreachable";  ///< no such host, or nobody answers there
inline constexpr std::string_view timed_out = "net.timed_out";
inline constexpr std::string_view answer_over_limit = "net.answer_over_limit";
inline constexpr std::string_view too_many_redirects = "net.too_many_redirects";
inline constexpr std::string_view failed = "net.failed";  ///< the connection broke, TLS, or what came is no HTTP
inline constexpr std::string_view stopping = "net.stopping";  ///< this program goes down
}  // namespace altiplano::net::errors
