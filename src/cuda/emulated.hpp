#pragma once

#include "cuda/device.hpp"
#include "kernels/card/emulated.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
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
        for (auto& [launch, node, call] : static_cast<Listed&>(program).work) {
            call.node = &node;
            kernels::card::emulate(launch, call);
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
};

}  // namespace altiplano::cuda
