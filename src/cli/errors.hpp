#pragma once

#include <string_view>

/// The codes of the room `cli`.
namespace altiplano::cli::errors {
inline constexpr std::string_view no_node = "cli.no_node";  ///< nobody answers at that address
inline constexpr std::string_view bad_answer = "cli.bad_answer";  ///< what answers there is no node of ours
inline constexpr std::string_view bad_argument = "cli.bad_argument";
inline constexpr std::string_view no_lua_file = "cli.no_lua_file";  ///< what is to be loaded is no *.lua file, or is not there
inline constexpr std::string_view process_failed = "cli.process_failed";  ///< the process answered with an error or trapped
inline constexpr std::string_view receipt_differs = "cli.receipt_differs";  ///< a receipt says what is not so
}  // namespace altiplano::cli::errors
