#include "cuda/extents.hpp"

#include <algorithm>

namespace altiplano::cuda {

void Extents::add(Extent e)
{
    if (e.begin >= e.end)
        return;
    auto at = parts_.upper_bound(e.begin);
    if (at != parts_.begin() && std::prev(at)->second >= e.begin)
        --at;
    while (at != parts_.end() && at->first <= e.end) {
        e = {std::min(e.begin, at->first), std::max(e.end, at->second)};
        at = parts_.erase(at);
    }
    parts_.emplace(e.begin, e.end);
}

std::vector<Extent> Extents::missing(Extent e) const
{
    std::vector<Extent> found;
    auto at = parts_.upper_bound(e.begin);
    if (at != parts_.begin() && std::prev(at)->second > e.begin)
        --at;
    for (; at != parts_.end() && at->first < e.end; ++at) {
        if (at->first > e.begin)
            found.push_back({e.begin, at->first});
        e.begin = std::min(at->second, e.end);
    }
    if (e.begin < e.end)
        found.push_back(e);
    return found;
}

std::uint64_t Extents::missing_bytes(Extent e) const
{
    std::uint64_t bytes = 0;
    for (const auto& one : missing(e))
        bytes += one.bytes();
    return bytes;
}

std::vector<Extent> Extents::all() const
{
    std::vector<Extent> found;
    found.reserve(parts_.size());
    for (const auto& [begin, end] : parts_)
        found.push_back({begin, end});
    return found;
}

namespace {

/// Bytes along the first extent, from the first element to the end of the last.
std::int64_t row_bytes(const kernels::Tensor& t) noexcept
{
    const auto format = kernels::format_of(t.type);
    return format.block_elements == 1 ? (t.extent[0] - 1) * t.stride[0] + format.block_bytes
                                      : t.extent[0] / format.block_elements * format.block_bytes;
}

}  // namespace

Extent extent_of(const kernels::Tensor& t, const std::byte* memory) noexcept
{
    auto bytes = row_bytes(t);
    for (int d = 1; d < 4; ++d)
        bytes += (t.extent[d] - 1) * t.stride[d];
    const auto begin = static_cast<std::uint64_t>(t.data - memory);
    return {begin, begin + static_cast<std::uint64_t>(bytes)};
}

bool is_dense(const kernels::Tensor& t) noexcept
{
    const auto format = kernels::format_of(t.type);
    bool dense = t.stride[0] == format.block_bytes;
    auto span = row_bytes(t);
    for (int d = 1; d < 4; ++d) {
        dense &= t.extent[d] == 1 || t.stride[d] == span;
        span *= t.extent[d];
    }
    return dense;
}

}  // namespace altiplano::cuda
