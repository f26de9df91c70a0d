// Where committed bytes lie: files of images, and the memory file over them.
#include "memory/region_private.hpp"

#include <fcntl.h>

namespace altiplano::memory {

Result<std::shared_ptr<const Descriptor>> duplicate(int descriptor)
{
    auto copy = std::make_shared<const Descriptor>(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (copy->number() < 0)
        return kernel_error("duplicate a descriptor");
    return copy;
}

Result<void> write_all(int descriptor, Bytes bytes, std::uint64_t offset)
{
    while (!bytes.empty()) {
        const auto put = pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return kernel_error("fill a memory file");
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
    return {};
}

/// Files over the range, private, tracked, as nothing had been written since the image.
Result<void> Region::Private::map_backing(PageRange range)
{
    if (range.count == 0)
        return {};
    const int prot = tracker->kind() == Tracker::fault ? PROT_READ : PROT_READ | PROT_WRITE;
    TRY_OK(by_backing(range, [&](const Backing& piece) -> Result<void> {
        if (mmap(at(piece.pages.first), piece.pages.count * page_bytes, prot, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                piece.file ? piece.file->number() : delta, static_cast<off_t>(piece.file_offset))
            == MAP_FAILED)
            return kernel_error(fmt::format("map {} bytes of memory", piece.pages.count * page_bytes));
        return {};
    }));
    TRY(const auto opened, tracker->track(range));
    return protect(opened);
}

/// The same as of the last commit.
Result<void> Region::Private::show_committed(PageRange range)
{
    TRY_OK(map_backing(range));
    return copy_back(range);
}

/// Puts what the memory file has over pages of images.
Result<void> Region::Private::copy_back(PageRange range)
{
    return by_backing(range, [&](const Backing& piece) -> Result<void> {
        if (!piece.file)
            return {};
        for (auto page = piece.pages.first; page < end_of(piece.pages); ++page) {
            if ((notes[page] & in_delta) == 0)
                continue;
            if (const auto opened = tracker->write(page); opened.count != 0)
                TRY_OK(protect(opened));
            if (pread(delta, at(page), page_bytes, static_cast<off_t>(page * page_bytes)) != static_cast<ssize_t>(page_bytes))
                return kernel_error("read a memory file");
        }
        return {};
    });
}

Result<void> Region::Private::read_committed(std::uint64_t page, std::span<std::byte> into) const
{
    return by_backing({page, 1}, [&](const Backing& piece) -> Result<void> {
        const bool from_image = piece.file && (notes[page] & in_delta) == 0;
        const auto offset = from_image ? piece.file_offset : page * page_bytes;
        const auto got = pread(from_image ? piece.file->number() : delta, into.data(), into.size(), static_cast<off_t>(offset));
        if (got != static_cast<ssize_t>(into.size()))
            return kernel_error("read committed memory");
        return {};
    });
}

Result<void> Region::show(std::span<const Shown> runs, int descriptor)
{
    auto& mine = *private_;
    TRY(const auto file, duplicate(descriptor));
    for (const auto& [pages, file_offset] : runs) {
        if (pages.count == 0 || pages.count > mine.pages() || pages.first > mine.pages() - pages.count
            || !whole_pages(file_offset) || mine.check != nullptr)
            return fail(
                errors::bad_range, fmt::format("{} pages from {} are none of a memory to be filled", pages.count, pages.first));
        const Backing added{pages, file, file_offset};
        if (mine.images.empty() || end_of(mine.images.back().pages) <= pages.first) {
            mine.images.push_back(added);
        } else {
            std::vector<Backing> kept;
            for (const auto& one : mine.images) {
                if (one.pages.first < pages.first)
                    kept.push_back(one.part(one.pages.first, std::min(end_of(one.pages), pages.first)));
                if (end_of(one.pages) > end_of(pages))
                    kept.push_back(one.part(std::max(one.pages.first, end_of(pages)), end_of(one.pages)));
            }
            kept.insert(
                std::ranges::upper_bound(kept, pages.first, {}, [](const Backing& one) { return one.pages.first; }), added);
            mine.images = std::move(kept);
        }
        for (const auto& put : mine.put_pages) {
            const auto covered = cut(put, pages.first, end_of(pages));
            for (auto page = covered.first; page < end_of(covered); ++page)
                mine.notes[page] = 0;
        }
        TRY_OK(mine.map_backing(pages));
    }
    return {};
}

Result<void> Region::put(std::uint64_t page, Bytes bytes)
{
    auto& mine = *private_;
    if (page >= mine.pages() || bytes.size() != page_bytes || mine.check != nullptr)
        return fail(errors::bad_range, fmt::format("page {} is none of a memory to be filled", page));
    TRY_OK(write_all(mine.delta, bytes, page * page_bytes));
    mine.notes[page] |= in_delta;
    TRY_OK(mine.copy_back({page, 1}));
    if (!mine.put_pages.empty() && end_of(mine.put_pages.back()) == page)
        ++mine.put_pages.back().count;
    else
        mine.put_pages.push_back({page, 1});
    return {};
}

}  // namespace altiplano::memory
