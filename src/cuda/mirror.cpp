#include "cuda/mirror.hpp"

#include "cuda/errors.hpp"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace altiplano::cuda {

namespace {

// A question about writes walks a page table: what lies near is asked for together, what is short is simply compared.
constexpr std::uint64_t near_bytes = 8 << 20;
constexpr std::uint64_t asked_bytes_min = 128 << 10;

std::uint64_t page_of(std::uint64_t address) noexcept
{
    return address / Mirror::compared_bytes * Mirror::compared_bytes;
}

}  // namespace

std::shared_ptr<Mirror> Mirror::make(
    const std::byte* guest, std::uint64_t begin, std::uint64_t end, std::shared_ptr<CardMemory> memory)
{
    void* const at = mmap(nullptr, end - begin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return nullptr;
    std::shared_ptr<Mirror> made(new Mirror(guest, begin, end, std::move(memory)));
    made->copy_ = static_cast<std::byte*>(at);
    return made;
}

Mirror::Mirror(const std::byte* guest, std::uint64_t begin, std::uint64_t end, std::shared_ptr<CardMemory> memory)
    : guest_(guest)
    , begin_(begin)
    , end_(end)
    , memory_(std::move(memory))
    , same_((end - begin) / compared_bytes + 1)
{
}

Mirror::~Mirror()
{
    if (copy_ != nullptr)
        munmap(copy_, end_ - begin_);
}

Result<void> Mirror::begin_anew()
{
    if (madvise(copy_, end_ - begin_, MADV_DONTNEED) != 0)
        return fail(errors::card, "memory of this machine could not be given back");
    std::ranges::fill(same_, 0);
    known_ = true;
    return {};
}

/// @return the epoch in which pages of [begin, end) that are marked with it are the guest's still; 0: nobody can tell
std::uint64_t Mirror::look_at_writes(std::uint64_t begin, std::uint64_t end, const TakeWritten& written)
{
    if (!written || end - begin < asked_bytes_min)
        return 0;
    const auto taken = written(begin, end);
    if (!taken)
        return 0;
    for (const auto& range : taken->ranges)
        for (auto at = std::max(range.begin, begin_); at < std::min(range.end, end_); at += compared_bytes)
            same_at(at) = 0;
    return taken->epoch;
}

Result<void> Mirror::bring(
    std::span<const Extent> inputs, std::span<const std::byte> memory, const TakeWritten& written, const Send& send)
{
    while (!inputs.empty()) {
        std::size_t near = 1;
        while (near < inputs.size() && inputs[near].begin - inputs[near - 1].end <= near_bytes)
            ++near;
        const auto group = inputs.first(near);
        const auto epoch = look_at_writes(page_of(group.front().begin), group.back().end, written);
        for (const auto& input : group)
            TRY_OK(bring(input, memory, epoch, send));
        inputs = inputs.subspan(near);
    }
    return {};
}

Result<void> Mirror::bring(Extent input, std::span<const std::byte> memory, std::uint64_t epoch, const Send& send)
{
    // Neighbours that differ go together.
    Extent differing{input.begin, input.begin};
    const auto flush = [&]() -> Result<void> {
        if (differing.bytes() == 0)
            return {};
        const auto bytes = memory.subspan(differing.begin, differing.bytes());
        note(differing.begin, bytes);
        return send(on_card(differing.begin), bytes);
    };
    for (auto at = input.begin; at < input.end;) {
        const auto next = std::min(input.end, page_of(at) + compared_bytes);
        const bool is_same = epoch != 0 && same_at(at) == epoch;
        if (!is_same && std::memcmp(memory.data() + at, copy_ + (at - begin_), next - at) != 0) {
            if (differing.end != at) {
                TRY_OK(flush());
                differing.begin = at;
            }
            differing.end = next;
        }
        // Of a page that is not an input as a whole, the rest may differ.
        if (epoch != 0 && next - at == compared_bytes)
            same_at(at) = epoch;
        at = next;
    }
    return flush();
}

void Mirror::note(std::uint64_t address, Bytes bytes)
{
    std::memcpy(copy_ + (address - begin_), bytes.data(), bytes.size());
}

}  // namespace altiplano::cuda
