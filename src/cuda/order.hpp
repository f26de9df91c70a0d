#pragma once

#include "cuda/extents.hpp"

namespace altiplano::cuda {

/// What one piece of work reads and writes.
struct Touched {
    std::vector<Extent> reads{}, writes{};
};

/// Who touches nothing that another one writes, nor writes what that one reads, need not wait for it.
struct Waits {
    std::vector<std::uint32_t> some{};  ///< earlier ones, ascending; whatever those wait for is left out
    bool all = false;  ///< waits for every earlier one instead
};
/// For each piece of work. Long programs go one after the other, since this looks at pairs.
/// @param some_max  who would wait for more than so many waits for all
std::vector<Waits> waits_of(std::span<const Touched> work, std::size_t some_max);

}  // namespace altiplano::cuda
