#pragma once

#include "compute/giving_way.hpp"
#include "compute/turns.hpp"

#include <optional>

namespace altiplano::compute {

/// What an evaluation gets of this machine while it is under way. It begins with a turn of its own, so that a short one waits for
/// none that takes long. One that takes longer goes on in slices of time, of which a few run at once, in the order of `Turns`;
/// while others have theirs, its worker stands still. So any number of evaluations share the processors by time, whoever they
/// belong to, and are cut between any two instructions, which no result shows. One thread, which waits for the worker's answer.
class TimeSlices {
public:
    struct Options {
        std::int64_t first_ms;  ///< with the turn that it begins with
        std::int64_t slice_ms;  ///< and then at a time, while others wait
        std::int64_t long_ms;  ///< with as much it gives way to everything else on this machine
    };
    /// @param turn  that the worker has from now on; `slices` are those after it
    /// @param when_over  called once, when the turn is over and not yet given back
    TimeSlices(Turns::Turn& turn, Turns& slices, Turns::Whose whose, WorkerShare& share, Clock& clock, Options options,
        std::function<void()> when_over)
        : turn_(turn)
        , slices_(slices)
        , whose_(std::move(whose))
        , share_(share)
        , clock_(clock)
        , options_(options)
        , when_over_(std::move(when_over))
        , since_ns_(clock.monotonic_ns())
    {
    }

    /// To be called while the worker has not answered. Waits while it is the turn of others. @return in how many milliseconds
    /// it is to be called again, at least 1
    int pass();

private:
    void begin_slice();

    Turns::Turn& turn_;
    Turns& slices_;
    const Turns::Whose whose_;
    WorkerShare& share_;
    Clock& clock_;
    const Options options_;
    const std::function<void()> when_over_;
    std::int64_t since_ns_;  ///< of the turn or slice
    std::int64_t had_ns_ = 0;  ///< before that
    std::optional<Turns::Turn> slice_;
};

}  // namespace altiplano::compute
