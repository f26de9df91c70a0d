#pragma once

#include "memory/region.hpp"

#include <functional>

namespace altiplano::memory {

/// Finds the pages of a region that were written since they were armed. Pages are counted from the region's base.
///
/// A tracker may want pages closed to writes, to learn of the first one: the region then takes write permission away and
/// tells it of the refused write.
class DirtyTracker {
public:
    /// Reads a page as of the last commit, for Tracker::compare.
    using Committed = std::function<Result<void>(std::uint64_t page, std::span<std::byte> into)>;
    /// @return memory.kernel when that tracker cannot be had here
    static Result<std::unique_ptr<DirtyTracker>> create(
        Tracker kind, std::byte* base, std::uint64_t reserved_bytes, Committed committed);
    virtual ~DirtyTracker() = default;

    virtual Tracker kind() const noexcept = 0;

    /// Whether the guest may write to `page` unnoticed, and the first page after it where that may differ.
    struct Openness {
        bool open = true;
        std::uint64_t until = UINT64_MAX;
    };
    virtual Openness openness(std::uint64_t page) const noexcept = 0;
    /// A write to `page` was refused, or is about to come. @return the range around it that is open from now on; empty
    /// when it was open
    virtual PageRange write(std::uint64_t page) noexcept = 0;

    /// These pages were mapped afresh, and none counts as written. @return the range around them that changed its openness
    virtual Result<PageRange> track(PageRange range) = 0;
    /// Adds what was written in `range` since it was armed.
    virtual Result<void> written(PageRange range, std::vector<PageRange>& found) const = 0;
    /// `written`, and then `arm` of what was written. @param closed  as for `arm`
    virtual Result<void> take(PageRange range, std::vector<PageRange>& found, std::vector<PageRange>& closed)
    {
        const auto before = found.size();
        TRY_OK(written(range, found));
        return arm(std::span(found).subspan(before), closed);
    }
    /// From now on, writes to these pages count anew. Among them may be pages that were not written.
    /// @param closed  ranges that changed their openness are added
    virtual Result<void> arm(std::span<const PageRange> runs, std::vector<PageRange>& closed) = 0;
    /// After each commit: the ascending pages that were written. May close what has not been written for long.
    virtual void settle(std::span<const std::uint64_t> written, std::uint64_t pages, std::vector<PageRange>& closed)
    {
        (void)written, (void)pages, (void)closed;
    }
};

}  // namespace altiplano::memory
