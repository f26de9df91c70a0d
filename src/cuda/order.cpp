#include "cuda/order.hpp"

#include <algorithm>

namespace altiplano::cuda {

namespace {

constexpr std::size_t pairs_looked_at = 2048;  ///< of more work than this, none

bool overlap(std::span<const Extent> some, std::span<const Extent> others) noexcept
{
    return std::ranges::any_of(some, [&](const Extent& one) {
        return std::ranges::any_of(others, [&](const Extent& other) { return one.begin < other.end && other.begin < one.end; });
    });
}

bool must_wait(const Touched& later, const Touched& earlier) noexcept
{
    return overlap(later.reads, earlier.writes) || overlap(later.writes, earlier.writes) || overlap(later.writes, earlier.reads);
}

}  // namespace

std::vector<Waits> waits_of(std::span<const Touched> work, std::size_t some_max)
{
    std::vector<Waits> waits(work.size());
    if (work.size() > pairs_looked_at) {
        for (std::size_t i = 1; i < work.size(); ++i)
            waits[i].some.push_back(static_cast<std::uint32_t>(i - 1));
        return waits;
    }
    std::vector<std::vector<bool>> done_before(work.size());  // each one itself included
    for (std::size_t i = 0; i < work.size(); ++i) {
        auto& mine = waits[i];
        std::vector<bool> before(i + 1);
        before[i] = true;
        std::size_t left = i;
        for (auto j = i; j-- > 0 && left > 0;) {
            if (before[j] || !must_wait(work[i], work[j]))
                continue;
            if (mine.some.size() == some_max) {
                mine = {.all = true};
                before.assign(i + 1, true);
                break;
            }
            mine.some.push_back(static_cast<std::uint32_t>(j));
            for (std::size_t k = 0; k <= j; ++k)
                if (done_before[j][k] && !before[k]) {
                    before[k] = true;
                    --left;
                }
        }
        std::ranges::reverse(mine.some);
        done_before[i] = std::move(before);
    }
    return waits;
}

}  // namespace altiplano::cuda
