#pragma once

#include <string_view>

/// The codes of the room `weave`.
namespace altiplano::weave::errors {
inline constexpr std::string_view unknown_item = "weave.unknown_item";
inline constexpr std::string_view unknown_block = "weave.unknown_block";
inline constexpr std::string_view broken_item = "weave.broken_item";  ///< what is stored is not what was signed
inline constexpr std::string_view broken_block = "weave.broken_block";  ///< a block's hash or link is not that of its content
inline constexpr std::string_view no_weave = "weave.no_weave";  ///< opened for reading, but there is none
inline constexpr std::string_view no_index = "weave.no_index";  ///< the index of items is missing; a node makes it
}  // namespace altiplano::weave::errors
