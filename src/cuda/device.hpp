#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"
#include "base/result.hpp"
#include "kernels/card/launch.hpp"

#include <array>
#include <memory>
#include <span>
#include <string>

namespace altiplano::cuda {

/// One kernel with what it is called with.
struct Work {
    kernels::card::Launch launch{};
    kernels::Node node{};
    kernels::card::Call call{};
    /// Places of the earlier work of its program that it waits for; with `waits_max + 1` of them, for all.
    static constexpr std::uint32_t waits_max = 4;
    std::uint32_t waits = 0;
    std::array<std::uint32_t, waits_max> waits_for{};
    bool waits_for_all() const noexcept { return waits > waits_max; }
    std::span<const std::uint32_t> waits_for_some() const noexcept
    {
        return std::span(waits_for).first(waits_for_all() ? 0 : waits);
    }
};

/// A part of guest memory that shows an item, which neither guest nor host can write.
struct Weights {
    std::uint64_t begin = 0, length = 0;  ///< from the beginning of guest memory
    ItemId item{};
    std::uint64_t offset = 0;  ///< in the item
    friend bool operator==(const Weights&, const Weights&) = default;
};

/// A graphics card, or what stands in for one: memory of its own, and work in one queue. Pointers into its memory are only
/// passed around here, never followed. One thread at a time.
class Device {
public:
    /// Work that is queued often. What does not wait for one another may run side by side, in any order.
    class Program {
    public:
        virtual ~Program() = default;
    };

    virtual ~Device() = default;
    virtual std::string name() const = 0;

    /// Zeroed, on a multiple of 256.
    virtual Result<std::byte*> allocate(std::uint64_t bytes) = 0;
    virtual void release(std::byte* memory) noexcept = 0;
    /// Memory that has this of an item already, or gets it without this process. @return nullptr: allocate it and upload it
    virtual Result<std::byte*> weights(const Weights& of)
    {
        (void)of;
        return nullptr;
    }
    /// Memory of this machine that the card reaches without detours.
    virtual Result<std::byte*> staging(std::uint64_t bytes) = 0;
    virtual void release_staging(std::byte* memory) noexcept = 0;
    /// Makes staging memory of what this process has otherwise; where that fails, it is a detour.
    virtual void pin(std::span<std::byte> memory) noexcept { (void)memory; }
    virtual void unpin(std::span<std::byte> memory) noexcept { (void)memory; }

    // Queued. What they read and write on this machine is staging memory, and left alone until `finish`.
    virtual Result<void> upload(std::byte* to, Bytes from) = 0;
    virtual Result<void> download(std::span<std::byte> to, const std::byte* from) = 0;
    virtual Result<void> clear(std::byte* memory, std::uint64_t bytes) = 0;
    virtual Result<std::unique_ptr<Program>> program(std::span<const Work> work) = 0;
    virtual Result<void> run(Program& program) = 0;

    /// Until everything queued is done. @return cuda.card also for what failed meanwhile
    virtual Result<void> finish() = 0;
};

/// The first card of this machine that NVIDIA's driver shows and that is new enough (Ampere, 2020).
/// @return cuda.no_card, cuda.card
Result<std::unique_ptr<Device>> nvidia_card();

}  // namespace altiplano::cuda
