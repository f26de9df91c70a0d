#pragma once

#include "base/result.hpp"

#include <cstdint>

namespace altiplano::memory {

/// Who can mend an access that the hardware refused, in a range of addresses.
class FaultMender {
public:
    /// What was tried, where the processor says so: else it may have been either.
    enum class Access : std::uint8_t { read, write, either };
    /// Called by the signal handler, on the thread whose access it was; on several at once.
    /// @param last_chance  nobody else can handle it: what is not mended ends the program
    /// @return whether the access may be tried again
    virtual bool mend(std::uintptr_t address, Access access, bool last_chance) noexcept = 0;

protected:
    ~FaultMender() = default;
};

/// While it lives, faults in a range go to a mender.
class WatchedRange {
public:
    WatchedRange() = default;
    /// @return memory.kernel when too many are watched already
    static Result<WatchedRange> watch(const std::byte* begin, std::uint64_t bytes, FaultMender& mender);
    WatchedRange(WatchedRange&& other) noexcept;
    WatchedRange& operator=(WatchedRange&& other) noexcept;
    ~WatchedRange();

private:
    int row_ = -1;
};

}  // namespace altiplano::memory
