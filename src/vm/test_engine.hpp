#pragma once

#include "vm/engine.hpp"

#include <cstdlib>

namespace altiplano::vm::test {

/// Every test of this room runs twice: as processes run whose memory is small, and with ALTIPLANO_WIDE=1 as those run whose
/// memory may be large, with 64-bit addresses compared.
inline std::shared_ptr<Engine> engine()
{
    static const auto one =
        Engine::create(Engine::narrow_reservation_bytes, {.narrowed = std::getenv("ALTIPLANO_WIDE") == nullptr}).value();
    return one;
}

}  // namespace altiplano::vm::test
