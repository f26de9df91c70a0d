#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace altiplano::vm {

/// How a module is spoken to and what it may import: what its tag Module-Format says (ao-protocol.md 6.1).
struct Format {
    enum class Abi : std::uint8_t {
        wasi,  ///< ours: abi/wasi
        emscripten,  ///< AO's: abi/emscripten
    };
    enum class Metering : std::uint8_t {
        none,
        imported,  ///< the module calls metering.usegas itself, if it does
        injected,  ///< the rewriting pass counts as AO's loader does
    };
    std::string_view name;
    Abi abi = Abi::wasi;
    bool wasm64 = true;
    Metering metering = Metering::none;
    /// Which of the loader's four generations of glue an emscripten module was published for: their imports differ in
    /// what they answer (ao-protocol.md 6.3, 6.6).
    int generation = 0;
    /// Where AO's clock stands when a message begins. The loader's counter starts at 10000; its last generation has looked
    /// four times by then, to date the folders that it makes.
    std::uint64_t first_tick = 10000;
};

/// All formats that this program runs.
std::span<const Format> formats();
/// @return nullptr for a name that is none of them
const Format* format_named(std::string_view name);
/// Ours for wasm64, `wasm64-wasi-altiplano_1`; a wasm32 module is taken as well.
const Format& own_format();

}  // namespace altiplano::vm
