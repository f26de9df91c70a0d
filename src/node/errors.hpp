#pragma once

#include <string_view>

/// The codes of the room `node`.
namespace altiplano::node::errors {
inline constexpr std::string_view bad_extensions = "node.bad_extensions";  ///< the list of offered extensions cannot be read
inline constexpr std::string_view folder_in_use = "node.folder_in_use";  ///< another node has the data folder
inline constexpr std::string_view newer_folder = "node.newer_folder";  ///< written by a newer program
inline constexpr std::string_view no_folder = "node.no_folder";  ///< no data folder where one was named
inline constexpr std::string_view cannot_listen = "node.cannot_listen";
inline constexpr std::string_view bad_host = "node.bad_host";  ///< a Host header that is not this machine
inline constexpr std::string_view bad_config = "node.bad_config";  ///< a key that is unknown, or a value that does not fit it
inline constexpr std::string_view bad_option = "node.bad_option";  ///< a setting that makes no sense
inline constexpr std::string_view key_needed = "node.key_needed";  ///< a write without one of the API keys
inline constexpr std::string_view no_unit = "node.no_unit";  ///< a unit that neither runs here nor is named by a URL
inline constexpr std::string_view stopping = "node.stopping";  ///< the node goes down
inline constexpr std::string_view too_many_requests = "node.too_many_requests";  ///< from one address, in a time
inline constexpr std::string_view busy = "node.busy";  ///< too many wait already
inline constexpr std::string_view header_over_limit = "node.header_over_limit";
inline constexpr std::string_view target_over_limit = "node.target_over_limit";
inline constexpr std::string_view too_slow = "node.too_slow";  ///< a request that did not come whole in time
inline constexpr std::string_view bad_request = "node.bad_request";
inline constexpr std::string_view unknown_path = "node.unknown_path";
inline constexpr std::string_view bad_method = "node.bad_method";
inline constexpr std::string_view body_over_limit = "node.body_over_limit";
inline constexpr std::string_view bad_range = "node.bad_range";
inline constexpr std::string_view development_only = "node.development_only";  ///< mints and mines at nobody's request
inline constexpr std::string_view verify_differs = "node.verify_differs";  ///< a recomputation gives something else
inline constexpr std::string_view not_computed = "node.not_computed";  ///< there is no recorded result to compare with
}  // namespace altiplano::node::errors
