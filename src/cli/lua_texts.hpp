#pragma once

#include <string_view>
#include <vector>

namespace altiplano::cli {

struct LuaText {
    std::string_view name;  ///< below lua/, as "blueprints/token.lua"
    std::string_view text;
};

/// The blueprints, packages and runtime files of lua/ that are part of this program, by name.
const std::vector<LuaText>& lua_texts();

}  // namespace altiplano::cli
