#include "vm/format.hpp"

#include <algorithm>
#include <array>

namespace altiplano::vm {

namespace {

using enum Format::Abi;
using enum Format::Metering;

constexpr std::array all{
    Format{"wasm64-wasi-altiplano_1", wasi, true, none, 0},
    Format{"wasm32-wasi-altiplano_1", wasi, false, none, 0},
    Format{"wasm32-unknown-emscripten", emscripten, false, imported, 1},
    Format{"wasm32-unknown-emscripten2", emscripten, false, imported, 2},
    Format{"wasm32-unknown-emscripten3", emscripten, false, imported, 3},
    Format{"wasm32-unknown-emscripten4", emscripten, false, none, 4, 10004},
    Format{"wasm32-unknown-emscripten-metering", emscripten, false, injected, 4, 10004},
    Format{"wasm64-unknown-emscripten-draft_2024_02_15", emscripten, true, none, 4, 10004},
    Format{"wasm64-unknown-emscripten-draft_2024_10_16-metering", emscripten, true, injected, 4, 10004},
};

}  // namespace

std::span<const Format> formats()
{
    return all;
}

const Format* format_named(std::string_view name)
{
    const auto* const found = std::ranges::find(all, name, &Format::name);
    return found == all.end() ? nullptr : found;
}

const Format& own_format()
{
    return all.front();
}

}  // namespace altiplano::vm
