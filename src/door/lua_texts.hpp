#pragma once

#include <string_view>
#include <vector>

namespace altiplano::door {

struct LuaText {
    std::string_view name;  ///< below lua/
    std::string_view text;
};

/// What runs inside the door's workers, made from lua/packages/door.
const std::vector<LuaText>& lua_texts();

}  // namespace altiplano::door
