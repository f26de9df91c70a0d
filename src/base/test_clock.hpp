#pragma once

#include "base/clock.hpp"

#include <atomic>

namespace altiplano {

/// A clock for tests, which stands still but for those who sleep by it, and may be set. Any thread.
class StillClock final : public Clock {
public:
    std::int64_t wall_ms() const override { return now_ns / 1'000'000; }
    std::int64_t monotonic_ns() const override { return now_ns; }
    void sleep_ms(std::int64_t duration_ms) override { now_ns += duration_ms * 1'000'000; }
    std::atomic<std::int64_t> now_ns = 0;
};

}  // namespace altiplano
