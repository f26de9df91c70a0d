#include "tensor/crew.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace altiplano::tensor {

namespace {

/// Where everybody waits for the last. Spins, since an operation takes microseconds; yields when that takes too long.
class Barrier {
public:
    explicit Barrier(unsigned count)
        : count_(count)
    {
    }
    /// @return the worst outcome of all that came to this meeting: the same for everybody
    kernels::Outcome meet(kernels::Outcome mine)
    {
        const auto generation = generation_.load(std::memory_order_acquire);
        raise_to(mine);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
            // Only the last one writes the verdict, and it is not written again before everybody has come, hence read it.
            verdict_.store(worst_.load(std::memory_order_relaxed), std::memory_order_relaxed);
            arrived_.store(0, std::memory_order_relaxed);
            generation_.fetch_add(1, std::memory_order_acq_rel);
        } else {
            for (unsigned spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins)
                if (spins > 2000)
                    std::this_thread::yield();
        }
        return static_cast<kernels::Outcome>(verdict_.load(std::memory_order_relaxed));
    }

private:
    void raise_to(kernels::Outcome outcome)
    {
        const auto value = static_cast<std::uint32_t>(outcome);
        auto now = worst_.load(std::memory_order_relaxed);
        while (now < value && !worst_.compare_exchange_weak(now, value, std::memory_order_relaxed)) { }
    }

    const unsigned count_;
    std::atomic<unsigned> arrived_{0};
    std::atomic<std::uint64_t> generation_{0};
    std::atomic<std::uint32_t> worst_{0}, verdict_{0};
};

}  // namespace

struct Crew::Memory {
    std::unique_ptr<std::byte[]> bytes{};
    ScratchSizes sizes{};

    static std::byte* aligned(std::byte* p) noexcept { return p + (64 - reinterpret_cast<std::uintptr_t>(p) % 64) % 64; }
    kernels::Scratch of(unsigned share) const noexcept
    {
        auto* const begin = aligned(bytes.get());
        auto* const panels = begin + sizes.activations + sizes.angles;
        return {begin, begin + sizes.activations, panels + share * sizes.panel};
    }
};

Crew::Crew(const kernels::Implementation& implementation, unsigned threads)
    : implementation_(implementation)
    , threads_(threads)
{
}
Crew::~Crew() = default;

std::unique_ptr<Crew::Memory> Crew::take(const ScratchSizes& sizes)
{
    std::unique_ptr<Memory> memory;
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            memory = std::move(idle_.back());
            idle_.pop_back();
        }
    }
    if (!memory)
        memory = std::make_unique<Memory>();
    auto& has = memory->sizes;
    if (memory->bytes && has.activations >= sizes.activations && has.angles >= sizes.angles && has.panel >= sizes.panel)
        return memory;
    has.activations = std::max(has.activations, sizes.activations);
    has.angles = std::max(has.angles, sizes.angles);
    has.panel = std::max(has.panel, sizes.panel);
    const auto bytes = has.activations + has.angles + has.panel * static_cast<std::int64_t>(threads_) + 64;
    memory->bytes = std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(bytes));
    return memory;
}

Executed Crew::run(std::span<const Step> steps, const ScratchSizes& sizes, unsigned threads_max)
{
    const auto threads = std::clamp(threads_max, 1U, threads_);
    auto memory = take(sizes);
    Executed executed;
    if (threads == 1) {
        const auto scratch = memory->of(0);
        for (std::size_t i = 0; i < steps.size() && executed.outcome == kernels::Outcome::done; ++i) {
            if (steps[i].prepare)
                executed.outcome = implementation_.prepare(steps[i].node, {}, scratch);
            if (executed.outcome == kernels::Outcome::done)
                executed.outcome = implementation_.run(steps[i].node, {}, scratch);
            executed.node = static_cast<std::uint32_t>(i);
        }
    } else {
        const std::lock_guard one_at_a_time(helping_);  // two graphs could wait for helpers that the other one has
        if (!helpers_)
            helpers_ = thread_pool("tensor", threads_ - 1);
        Barrier barrier(threads);
        std::atomic<unsigned> left{threads};
        const auto work = [&](unsigned index) {
            const kernels::Share share{index, threads};
            const auto scratch = memory->of(index);
            auto outcome = kernels::Outcome::done;
            std::size_t i = 0;
            for (; i < steps.size(); ++i) {
                if (steps[i].prepare)
                    outcome = barrier.meet(implementation_.prepare(steps[i].node, share, scratch));
                if (outcome == kernels::Outcome::done)
                    outcome = barrier.meet(implementation_.run(steps[i].node, share, scratch));
                if (outcome != kernels::Outcome::done)
                    break;
            }
            if (index == 0)
                executed = {outcome, static_cast<std::uint32_t>(i)};
            left.fetch_sub(1, std::memory_order_acq_rel);
        };
        for (unsigned helper = 1; helper < threads; ++helper)
            helpers_->post([&work, helper] { work(helper); });
        work(0);
        while (left.load(std::memory_order_acquire) != 0)
            std::this_thread::yield();
    }
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(memory));
    return executed;
}

}  // namespace altiplano::tensor
