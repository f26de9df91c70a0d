#include "compute/memory_data.hpp"

#include "compute/errors.hpp"
#include "compute/local_compute.hpp"
#include "memory/errors.hpp"
#include "memory/image.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {

using memory::page_bytes;

class MemoryData final : public weave::ItemData {
public:
    struct Mapped {
        memory::MappedRange range;
        std::unique_ptr<weave::ItemData> item;
    };
    MemoryData(std::unique_ptr<File> file, memory::Image image, std::vector<Mapped> mapped)
        : ItemData(image.length_bytes)
        , file_(std::move(file))
        , image_(std::move(image))
        , mapped_(std::move(mapped))
    {
        std::uint64_t at = image_.front_bytes;
        for (const auto& run : image_.runs) {
            places_.push_back(at);
            at += run.count * page_bytes;
        }
    }

    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) const override
    {
        ENSURE(offset <= size() && into.size() <= size() - offset, "callers stay inside the memory");
        // What no run and no range has is zero.
        std::ranges::fill(into, std::byte{0});
        const auto end = offset + into.size();
        auto run = std::ranges::upper_bound(image_.runs, offset / page_bytes, {}, &memory::PageRange::first);
        if (run != image_.runs.begin())
            --run;
        for (; run != image_.runs.end() && run->first * page_bytes < end; ++run) {
            const auto place = places_[static_cast<std::size_t>(run - image_.runs.begin())];
            TRY_OK(copy(run->first * page_bytes, run->count * page_bytes, offset, into,
                [&](std::uint64_t at, std::span<std::byte> part) -> Result<void> {
                    TRY(const auto got, file_->read_at(place + at, part));
                    return got == part.size() ? Result<void>{} : fail(memory::errors::bad_image, "the image is cut short");
                }));
        }
        for (const auto& one : mapped_)
            TRY_OK(copy(
                one.range.at, one.range.length, offset, into, [&](std::uint64_t at, std::span<std::byte> part) -> Result<void> {
                    const auto from = one.range.item_offset + at;
                    const auto there = from < one.item->size() ? one.item->size() - from : 0;
                    return one.item->read_at(std::min(from, one.item->size()),
                        part.first(static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), there))));
                }));
        return {};
    }

private:
    /// Has `read` fill the part of `into`, which stands for memory from `offset` on, that lies in [begin, begin + length).
    template <class Read>
    static Result<void> copy(
        std::uint64_t begin, std::uint64_t length, std::uint64_t offset, std::span<std::byte> into, const Read& read)
    {
        const auto first = std::max(begin, offset);
        const auto last = std::min(begin + length, offset + into.size());
        if (first >= last)
            return {};
        return read(
            first - begin, into.subspan(static_cast<std::size_t>(first - offset), static_cast<std::size_t>(last - first)));
    }

    std::unique_ptr<File> file_;
    memory::Image image_;
    std::vector<Mapped> mapped_;
    std::vector<std::uint64_t> places_;  ///< of the runs, in the file
};

}  // namespace

Result<std::unique_ptr<weave::ItemData>> memory_data(std::unique_ptr<File> file, weave::Weave& weave)
{
    TRY(auto image, memory::read_image(*file));
    ENSURE(!image.base, "a whole image was asked for");
    std::vector<MemoryData::Mapped> mapped;
    for (const auto& range : image.mapped) {
        TRY(auto item, weave.data(range.item));
        mapped.push_back({range, std::move(item)});
    }
    return std::make_unique<MemoryData>(std::move(file), std::move(image), std::move(mapped));
}

Result<std::unique_ptr<weave::ItemData>> LocalCompute::memory(const units::Slot& slot)
{
    // A file of its own, which has no name from the moment that it is open: nothing is left of it, whatever happens.
    const auto path = options_.folder / "images" / fmt::format("shown-{}-{}-{}", slot.process.text(), slot.nonce, ++shown_);
    TRY_OK(files_.remove(path));
    TRY(auto file, files_.open(path, Files::Mode::create_new));
    TRY_OK(files_.remove(path));
    TRY_OK(with_state(slot, [&](Lane& lane) -> Result<void> {
        TRY_OK(file->truncate(0));
        TRY_OK(lane.worker->save(*file, {}, false));
        return {};
    }));
    return memory_data(std::move(file), weave_);
}

}  // namespace altiplano::compute
