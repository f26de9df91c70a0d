#pragma once

#include <cstdint>

namespace altiplano {

/// The time, passed in: no room asks the system itself (docs/architecture.md, the simulator).
class Clock {
public:
    virtual ~Clock() = default;
    /// Milliseconds since 1970, UTC. May jump either way.
    virtual std::int64_t wall_ms() const = 0;
    /// Nanoseconds since an arbitrary point; never goes back.
    virtual std::int64_t monotonic_ns() const = 0;
    virtual void sleep_ms(std::int64_t duration_ms) = 0;
};

/// The machine's own clock, of static lifetime.
Clock& system_clock();

}  // namespace altiplano
