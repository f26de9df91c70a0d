#pragma once

#include "cuda/device.hpp"
#include "cuda/extents.hpp"

#include <functional>
#include <optional>

namespace altiplano::cuda {

/// Memory of the card.
struct CardMemory {
    Device& device;
    std::byte* at;
    std::uint64_t bytes;

    CardMemory(Device& on, std::byte* begin, std::uint64_t size)
        : device(on)
        , at(begin)
        , bytes(size)
    {
    }
    CardMemory(const CardMemory&) = delete;
    CardMemory& operator=(const CardMemory&) = delete;
    ~CardMemory() { device.release(at); }
};

/// What of a range of guest memory may have been written since it was last asked for in this epoch, or else since the epoch
/// began; in another epoch all of it may (vm::CallContext::take_written).
struct Written {
    std::uint64_t epoch = 0;
    std::vector<Extent> ranges{};
};
/// @return nothing where nobody can tell
using TakeWritten = std::function<std::optional<Written>(std::uint64_t begin, std::uint64_t end)>;

/// A part of one guest's memory on the card, and what the card has of it: a copy here, whose pages take no memory until they were
/// sent. Nothing is believed that was not compared, but pages that were, and that nobody has written since.
class Mirror {
public:
    static constexpr std::uint64_t compared_bytes = 4096;  ///< what differs somewhere is sent again as a whole

    /// @param guest  where guest memory begins
    /// @param begin  on a multiple of compared_bytes
    /// @return nullptr when no address space is left
    static std::shared_ptr<Mirror> make(
        const std::byte* guest, std::uint64_t begin, std::uint64_t end, std::shared_ptr<CardMemory> memory);
    ~Mirror();
    Mirror(const Mirror&) = delete;
    Mirror& operator=(const Mirror&) = delete;

    const std::byte* guest() const noexcept { return guest_; }
    Extent range() const noexcept { return {begin_, end_}; }
    std::byte* on_card(std::uint64_t address) const { return memory_->at + (address - begin_); }
    const CardMemory& memory() const noexcept { return *memory_; }

    /// Whether it is known what the card has. @return false: clear `memory`, then begin_anew
    bool is_known() const noexcept { return known_; }
    /// The card has zeros.
    Result<void> begin_anew();
    /// Nobody knows until begin_anew, or until `keep`, once what was written there was noted.
    void lose() noexcept { known_ = false; }
    void keep() noexcept { known_ = true; }
    /// To the card, from guest memory.
    using Send = std::function<Result<void>(std::byte* to, Bytes from)>;
    /// Sends what the guest has otherwise.
    /// @param inputs  ascending, apart
    Result<void> bring(
        std::span<const Extent> inputs, std::span<const std::byte> memory, const TakeWritten& written, const Send& send);
    /// The card has these bytes there.
    void note(std::uint64_t address, Bytes bytes);

private:
    Mirror(const std::byte* guest, std::uint64_t begin, std::uint64_t end, std::shared_ptr<CardMemory> memory);
    std::uint64_t look_at_writes(std::uint64_t begin, std::uint64_t end, const TakeWritten& written);
    Result<void> bring(Extent input, std::span<const std::byte> memory, std::uint64_t epoch, const Send& send);
    std::uint64_t& same_at(std::uint64_t address) { return same_[(address - begin_) / compared_bytes]; }

    const std::byte* guest_;
    std::uint64_t begin_, end_;
    std::shared_ptr<CardMemory> memory_;
    std::byte* copy_ = nullptr;
    bool known_ = true;
    std::vector<std::uint64_t> same_;  ///< per page: the epoch in which it was the guest's, and not taken as written since
};

}  // namespace altiplano::cuda
