#pragma once

#include "memory/region.hpp"

namespace altiplano::memory {

struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
};

/// Finds the pages of a region that were written since they were armed. Pages are counted from the region's base.
class DirtyTracker {
public:
    /// @param committed_file  the bytes as of the last commit, for Tracker::compare
    /// @return memory.kernel when that tracker cannot be had here
    static Result<std::unique_ptr<DirtyTracker>> create(
        Tracker kind, std::byte* base, std::uint64_t reserved_bytes, int committed_file);
    virtual ~DirtyTracker() = default;

    virtual Tracker kind() const noexcept = 0;
    /// These pages were mapped afresh and count as armed. Any protection that mmap gave may be changed.
    virtual Result<void> track(PageRange range) = 0;
    /// Adds what was written in `range` since it was armed.
    virtual Result<void> written(PageRange range, std::vector<PageRange>& found) const = 0;
    /// From now on, writes in `range` count anew.
    virtual Result<void> arm(PageRange range) = 0;
    /// The kernel or we ourselves are about to write there.
    virtual Result<void> expect_write(PageRange range) = 0;
};

}  // namespace altiplano::memory
