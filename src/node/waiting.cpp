#include "node/waiting.hpp"

#include "base/counters.hpp"
#include "node/errors.hpp"

#include <fmt/format.h>

namespace altiplano::node {

Waiting::Waiting(units::Compute& compute, std::size_t threads, std::size_t most)
    : compute_(compute)
    , most_(most)
    , gauge_(counters::gauge("altiplano_results_waited_for", "Requests that wait for a result or another slow answer.",
          [this] { return static_cast<double>(count_); }))
    , executor_(thread_pool("waiting", threads, many_away))
    , posts_(executor_.get())
{
}

Waiting::~Waiting()
{
    executor_.reset();
}

Result<void> Waiting::enter()
{
    if (++count_ > most_) {
        --count_;
        return fail(errors::busy, fmt::format("{} requests wait for answers that take long; more are not taken", most_),
            "nothing is lost: ask again later");
    }
    return {};
}

Result<void> Waiting::run(std::function<void()> work)
{
    TRY_OK(enter());
    posts_->post([this, work = std::move(work)] {
        work();
        --count_;
    });
    return {};
}

Result<void> Waiting::ask(const units::Slot& slot, Done done)
{
    TRY_OK(enter());
    const std::lock_guard lock(mutex_);
    auto& queue = queues_[slot.process];
    queue.waiters.emplace(slot.nonce, std::move(done));
    if (!queue.running) {
        queue.running = true;
        posts_->post([this, process = slot.process] { serve(process); });
    }
    return {};
}

/// One slot of a process, the lowest first: it has to be evaluated before the others anyway.
void Waiting::serve(const ProcessId& process)
{
    std::uint64_t nonce = 0;
    {
        const std::lock_guard lock(mutex_);
        nonce = queues_[process].waiters.begin()->first;
    }
    const auto result = compute_.result({process, nonce});
    std::vector<Done> told;
    {
        const std::lock_guard lock(mutex_);
        auto& queue = queues_[process];
        const auto [first, last] = queue.waiters.equal_range(nonce);
        for (auto waiter = first; waiter != last; ++waiter)
            told.push_back(std::move(waiter->second));
        queue.waiters.erase(first, last);
        if (queue.waiters.empty())
            queues_.erase(process);
        else
            posts_->post([this, process] { serve(process); });
    }
    for (const auto& done : told) {
        done(result);
        --count_;
    }
}

}  // namespace altiplano::node
