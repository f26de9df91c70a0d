#pragma once

#include "cuda/device.hpp"
#include "kernels/card/emulated.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numeric>
#include <vector>

namespace altiplano::cuda {

/// A graphics card for tests, in this machine's memory (kernels/card/emulated.hpp).
class EmulatedDevice : public Device {
public:
    // Read and set by tests while another thread may use the card.
    std::atomic<std::uint64_t> uploaded = 0, downloaded = 0;  ///< bytes
    std::atomic<std::uint64_t> held = 0;  ///< bytes of its memory in use
    std::atomic<std::uint64_t> memory_bytes = UINT64_MAX;
    std::atomic<bool> broken = false;  ///< from now on nothing works

    std::string name() const override { return "emulated"; }
    Result<std::byte*> allocate(std::uint64_t bytes) override
    {
        if (bytes > memory_bytes - held)
            return fail("cuda.card", "its memory is full");
        auto* const memory = zeroed(bytes);
        held += bytes;
        bytes_[memory] = bytes;
        return memory;
    }
    void release(std::byte* memory) noexcept override
    {
        held -= bytes_.at(memory);
        bytes_.erase(memory);
        std::free(memory);
    }
    Result<std::byte*> staging(std::uint64_t bytes) override { return zeroed(bytes); }
    void release_staging(std::byte* memory) noexcept override { std::free(memory); }
    Result<void> upload(std::byte* to, Bytes from) override
    {
        uploaded += from.size();
        std::memcpy(to, from.data(), from.size());
        return {};
    }
    Result<void> download(std::span<std::byte> to, const std::byte* from) override
    {
        downloaded += to.size();
        std::memcpy(to.data(), from, to.size());
        return {};
    }
    Result<void> clear(std::byte* memory, std::uint64_t bytes) override
    {
        std::memset(memory, 0, bytes);
        return {};
    }
    struct Listed final : Program {
        std::vector<Work> work{};
    };
    Result<std::unique_ptr<Program>> program(std::span<const Work> work) override
    {
        auto listed = std::make_unique<Listed>();
        listed->work.assign(work.begin(), work.end());
        return listed;
    }
    Result<void> run(Program& program) override
    {
        if (broken)
            return fail("cuda.card", "it is broken");
        // In any order in which each waits for those that it has to: another one every time.
        auto& work = static_cast<Listed&>(program).work;
        std::vector<bool> done(work.size());
        std::vector<std::size_t> left(work.size());
        std::iota(left.begin(), left.end(), std::size_t{0});
        const auto is_ready = [&](std::size_t i) {
            if (work[i].waits_for_all())
                return left.front() == i;
            return std::ranges::all_of(work[i].waits_for_some(), [&](std::uint32_t place) { return done[place]; });
        };
        while (!left.empty()) {
            order_ = order_ * 6364136223846793005U + 1442695040888963407U;
            auto next = left.begin() + static_cast<std::ptrdiff_t>((order_ >> 33) % left.size());
            while (!is_ready(*next))
                next = next + 1 == left.end() ? left.begin() : next + 1;
            auto& one = work[*next];
            one.call.node = &one.node;
            kernels::card::emulate(one.launch, one.call);
            done[*next] = true;
            left.erase(next);
        }
        return {};
    }
    Result<void> finish() override { return {}; }

private:
    static std::byte* zeroed(std::uint64_t bytes)
    {
        const auto rounded = (bytes + 255) / 256 * 256;
        auto* const memory = static_cast<std::byte*>(std::aligned_alloc(256, rounded));
        std::memset(memory, 0, rounded);
        return memory;
    }

    std::map<const std::byte*, std::uint64_t> bytes_;
    std::uint64_t order_ = 1;
};

}  // namespace altiplano::cuda
