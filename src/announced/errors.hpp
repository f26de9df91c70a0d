#pragma once

#include <string_view>

/// The codes of the room `announced`.
namespace altiplano::announced::errors {
inline constexpr std::string_view bad_announcement =
    "announced.bad_announcement";  ///< an item that announces no extension as it should
inline constexpr std::string_view bad_module = "announced.bad_module";  ///< a reference module that may not be one
inline constexpr std::string_view bad_accelerator =
    "announced.bad_accelerator";  ///< a library that is no accelerator of the extension
inline constexpr std::string_view trap_extension = "trap.extension";  ///< the reference module failed on what the guest gave it
}  // namespace altiplano::announced::errors
