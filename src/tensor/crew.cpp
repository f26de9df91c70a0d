#include "tensor/crew.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

namespace altiplano::tensor {

namespace {

/// A graph on its way through several threads. Every stage of it, a node's preparation or the node itself, is cut into as many
/// shares as there are threads, and whoever is there takes the next one. So nobody waits for a thread that the system keeps off
/// its processor, unless it was taken off with a share in its hands.
class Course {
public:
    /// @param execute  a share of a stage, on the thread of this number; not called after `run` has returned
    using Execute = std::function<kernels::Outcome(std::size_t stage, unsigned share, unsigned thread)>;

    Course(std::size_t stages, unsigned shares, Execute execute)
        : stages_(stages)
        , shares_(shares)
        , execute_(std::move(execute))
    {
    }

    /// Until all stages are done, or one has failed. Several threads, each once; one that comes too late finds nothing to do.
    void run(unsigned thread)
    {
        unsigned spins = 0;
        for (;;) {
            auto place = place_.load(std::memory_order_acquire);
            const auto stage = static_cast<std::size_t>(place / place_shares);
            if (stage == stages_)
                return;
            if (place % place_shares == shares_) {  // all taken, and not all done
                // An operation takes microseconds; yields when that takes too long.
                if (++spins > 2000)
                    std::this_thread::yield();
                continue;
            }
            if (!place_.compare_exchange_weak(place, place + 1, std::memory_order_acq_rel))
                continue;
            spins = 0;
            raise_to(execute_(stage, static_cast<unsigned>(place % place_shares), thread));
            if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 < shares_)
                continue;
            // The last one of this stage; nobody else is in it.
            done_.store(0, std::memory_order_relaxed);
            const bool goes_on = worst_.load(std::memory_order_relaxed) == 0;
            if (!goes_on)
                failed_stage_ = stage;
            place_.store((goes_on ? stage + 1 : stages_) * place_shares, std::memory_order_release);
        }
    }
    /// After `run`.
    kernels::Outcome outcome() const { return static_cast<kernels::Outcome>(worst_.load(std::memory_order_relaxed)); }
    std::size_t failed_stage() const { return failed_stage_; }

private:
    static constexpr std::uint64_t place_shares = 1 << 16;

    void raise_to(kernels::Outcome outcome)
    {
        const auto value = static_cast<std::uint32_t>(outcome);
        auto now = worst_.load(std::memory_order_relaxed);
        while (now < value && !worst_.compare_exchange_weak(now, value, std::memory_order_relaxed)) { }
    }

    const std::size_t stages_;
    const unsigned shares_;
    const Execute execute_;
    std::atomic<std::uint64_t> place_{0};  ///< stage, and the next share of it
    std::atomic<unsigned> done_{0};  ///< shares of that stage
    std::atomic<std::uint32_t> worst_{0};
    std::size_t failed_stage_ = 0;
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

Executor& Crew::helpers()
{
    const std::lock_guard lock(mutex_);
    if (!helpers_)
        helpers_ = thread_pool("tensor", threads_ - 1);
    return *helpers_;
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
        struct Stage {
            const Step* step;
            bool prepares;
        };
        std::vector<Stage> stages;
        stages.reserve(steps.size() * 2);
        for (const auto& step : steps) {
            if (step.prepare)
                stages.push_back({&step, true});
            stages.push_back({&step, false});
        }
        const auto execute = [&](std::size_t stage, unsigned share, unsigned thread) {
            const auto& [step, prepares] = stages[stage];
            const auto scratch = memory->of(thread);
            return prepares ? implementation_.prepare(step->node, {share, threads}, scratch)
                            : implementation_.run(step->node, {share, threads}, scratch);
        };
        const auto course = std::make_shared<Course>(stages.size(), threads, execute);
        for (unsigned helper = 1; helper < threads; ++helper)
            helpers().post([course, helper] { course->run(helper); });
        course->run(0);
        if (course->outcome() != kernels::Outcome::done)
            executed = {course->outcome(), static_cast<std::uint32_t>(stages[course->failed_stage()].step - steps.data())};
    }
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(memory));
    return executed;
}

}  // namespace altiplano::tensor
