#pragma once

// What only this room's sources see: words for what the kernel refused, and ranges of pages.

#include "memory/errors.hpp"
#include "memory/region.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <system_error>

namespace altiplano::memory {

inline std::unexpected<Error> kernel_error(std::string_view doing)
{
    return fail(errors::kernel, fmt::format("the kernel refused to {}: {}", doing, std::generic_category().message(errno)));
}

inline std::uint64_t end_of(PageRange range)
{
    return range.first + range.count;
}

/// Runs of neighbours in ascending pages.
inline std::vector<PageRange> runs_of(std::span<const std::uint64_t> pages)
{
    std::vector<PageRange> runs;
    for (const auto page : pages)
        if (!runs.empty() && end_of(runs.back()) == page)
            ++runs.back().count;
        else
            runs.push_back({page, 1});
    return runs;
}

}  // namespace altiplano::memory
