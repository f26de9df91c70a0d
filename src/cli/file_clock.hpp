#pragma once

#include "base/clock.hpp"
#include "base/files.hpp"

namespace altiplano::cli {

/// The time of day that a file says, in milliseconds since 1970; the rest is the machine's own. For tests, in which a day passes
/// in seconds: whoever lets it pass replaces the file.
class FileClock final : public Clock {
public:
    explicit FileClock(Path file)
        : file_(std::move(file))
    {
    }
    /// 0 when the file says nothing.
    std::int64_t wall_ms() const override;
    std::int64_t monotonic_ns() const override { return system_clock().monotonic_ns(); }
    void sleep_ms(std::int64_t duration_ms) override { system_clock().sleep_ms(duration_ms); }

private:
    Path file_;
};

}  // namespace altiplano::cli
