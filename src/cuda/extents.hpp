#pragma once

#include "kernels/node.hpp"

#include <map>
#include <span>
#include <vector>

namespace altiplano::cuda {

/// Half-open, from the beginning of guest memory.
struct Extent {
    std::uint64_t begin = 0, end = 0;
    std::uint64_t bytes() const noexcept { return end - begin; }
};

/// A set of bytes.
class Extents {
public:
    void add(Extent e);
    /// What of `e` is not here.
    std::vector<Extent> missing(Extent e) const;
    bool overlaps(Extent e) const { return missing_bytes(e) != e.bytes(); }
    std::vector<Extent> all() const;

private:
    std::uint64_t missing_bytes(Extent e) const;

    std::map<std::uint64_t, std::uint64_t> parts_;  ///< end by begin; apart from each other
};

/// From the first to the last byte of a tensor. @param memory  where guest memory begins
Extent extent_of(const kernels::Tensor& tensor, const std::byte* memory) noexcept;
/// Whether a tensor has all bytes of its extent.
bool is_dense(const kernels::Tensor& tensor) noexcept;

}  // namespace altiplano::cuda
