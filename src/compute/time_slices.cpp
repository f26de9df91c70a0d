#include "compute/time_slices.hpp"

#include <algorithm>

namespace altiplano::compute {

int TimeSlices::pass()
{
    constexpr std::int64_t ms = 1'000'000;
    auto now_ns = clock_.monotonic_ns();
    auto end_ns = since_ns_ + (slice_ ? options_.slice_ms : options_.first_ms) * ms;
    if (now_ns >= end_ns) {
        had_ns_ += now_ns - since_ns_;
        if (!slice_) {
            when_over_();
            turn_.leave();
            begin_slice();
        } else if (slices_.waiting() > 0) {
            slice_.reset();
            begin_slice();
        }
        since_ns_ = now_ns = clock_.monotonic_ns();
        end_ns = since_ns_ + options_.slice_ms * ms;
        if (had_ns_ >= options_.long_ms * ms && !share_.gives_way())
            share_.give_way(clock_);
    }
    share_.look(clock_);
    const auto left_ns = std::min(end_ns - now_ns, WorkerShare::way_ns);
    return static_cast<int>(std::max<std::int64_t>(1, (left_ns + ms - 1) / ms));
}

void TimeSlices::begin_slice()
{
    std::optional<std::int64_t> still_since_ns;
    slice_.emplace(slices_, whose_, [&] {
        share_.stand_still();
        still_since_ns = clock_.monotonic_ns();
    });
    if (still_since_ns)
        share_.go_on(clock_.monotonic_ns() - *still_since_ns);
}

}  // namespace altiplano::compute
