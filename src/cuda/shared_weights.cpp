#include "cuda/shared_weights.hpp"

#include "cuda/errors.hpp"

#include <algorithm>

namespace altiplano::cuda {

namespace {
constexpr std::uint64_t part_bytes = std::uint64_t{32} << 20;
constexpr std::uint64_t mapped_beyond_max = std::uint64_t{64}
    << 10;  ///< the end of an item lies somewhere in a page, the rest is zero
}  // namespace

SharedWeights::~SharedWeights()
{
    for (const auto& one : all_)
        device_.release(one.memory);
}

Result<const std::byte*> SharedWeights::use(const ItemId& item, std::uint64_t offset, std::uint64_t length)
{
    for (auto at = all_.begin(); at != all_.end(); ++at)
        if (at->item == item && at->offset == offset && at->length == length) {
            all_.splice(all_.begin(), all_, at);
            ++at->users;
            return at->memory;
        }
    TRY(const auto file, open_(item));
    if (!file)
        return nullptr;
    TRY(const auto size, file->size());
    const auto there = offset < size ? std::min(length, size - offset) : 0;
    if (there == 0 || length - there > mapped_beyond_max)
        return fail(errors::card, "a worker process named a part of an item that it does not have");
    TRY(auto* const memory, allocate(length));
    if (const auto loaded = load(*file, offset, there, memory); !loaded) {
        device_.release(memory);
        return std::unexpected(loaded.error());
    }
    all_.push_front({item, offset, length, memory, 1});
    return memory;
}

void SharedWeights::leave(const std::byte* memory)
{
    if (const auto one = std::ranges::find(all_, memory, &Shared::memory); one != all_.end())
        --one->users;
}

Result<std::byte*> SharedWeights::allocate(std::uint64_t bytes)
{
    for (;;) {
        auto memory = device_.allocate(bytes);
        if (memory)
            return memory;
        const auto unused = std::find_if(all_.rbegin(), all_.rend(), [](const Shared& one) { return one.users == 0; });
        if (unused == all_.rend())
            return memory;
        device_.release(unused->memory);
        all_.erase(std::next(unused).base());
    }
}

Result<void> SharedWeights::load(const File& file, std::uint64_t offset, std::uint64_t length, std::byte* memory)
{
    TRY(auto* const staging, device_.staging(part_bytes));
    auto loaded = [&]() -> Result<void> {
        for (std::uint64_t done = 0; done < length;) {
            const auto part = static_cast<std::size_t>(std::min(part_bytes, length - done));
            TRY(const auto got, file.read_at(offset + done, {staging, part}));
            if (got != part)
                return fail(errors::card, "an item's file ended while it was brought to the card");
            TRY_OK(device_.upload(memory + done, {staging, part}));
            TRY_OK(device_.finish());
            done += part;
        }
        return {};
    }();
    device_.release_staging(staging);
    return loaded;
}

}  // namespace altiplano::cuda
