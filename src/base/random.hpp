#pragma once

#include "base/bytes.hpp"

#include <span>

namespace altiplano {

/// Unpredictable bytes, passed in: keys, anchors, salts. What a guest sees comes from the message, never from here.
class Random {
public:
    virtual ~Random() = default;
    virtual void fill(std::span<std::byte> bytes) = 0;
};

/// The kernel's generator, of static lifetime.
Random& system_random();

}  // namespace altiplano
