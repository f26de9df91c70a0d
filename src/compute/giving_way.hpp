#pragma once

#include "base/clock.hpp"

#include <cstdint>

namespace altiplano::compute {

/// How an evaluation that takes long gives way to everything else on this machine.
enum class Way : std::uint8_t {
    idle,  ///< computes where nobody else does; whoever wakes goes first at once
    small,  ///< has a small share beside others that compute, who may have to wait for the end of a slice
};

/// Idle is nothing at all beside programs that never rest: who gets less than a twentieth of a processor has the small share
/// then, until that is half of one, which nobody gets beside others.
/// @param used_ns  processor time in the last `passed_ns`
constexpr Way next_way(Way now, std::int64_t used_ns, std::int64_t passed_ns)
{
    if (now == Way::idle)
        return used_ns < passed_ns / 20 ? Way::small : Way::idle;
    return used_ns >= passed_ns / 2 ? Way::idle : Way::small;
}

/// From now on the calling thread, when it wakes, takes no processor away from who computes: for work that somebody who computes
/// does himself if need be.
void interrupt_nobody() noexcept;

/// What a worker process gets of the machine: a whole share, or what is left while it gives way. One thread at a time, which is
/// the one that has the worker.
class WorkerShare {
public:
    static constexpr std::int64_t way_ns = 500'000'000;  ///< for which one way is kept at least

    /// @param process  0: no process of its own, whose share is nobody's business
    explicit WorkerShare(std::int64_t process)
        : process_(process)
    {
    }
    void give_way(const Clock& clock);
    /// To be called at least every `way_ns` while it gives way, so that it gets on.
    void look(const Clock& clock);
    /// Whole again, with every thread that was started meanwhile. @return false where that takes a privilege which this program
    /// does not have; it gives way then as before
    bool be_normal();
    bool gives_way() const noexcept { return gives_way_; }
    /// Computes nothing from now on, whatever it is at, until `go_on`.
    void stand_still() const;
    /// @param still_ns  for how long it stood still, which says nothing of what it gets of the machine
    void go_on(std::int64_t still_ns);

private:
    std::int64_t process_;
    bool gives_way_ = false;
    Way way_ = Way::idle;
    std::int64_t looked_ns_ = 0;
    std::int64_t used_ns_ = 0;  ///< processor time until then
};

}  // namespace altiplano::compute
