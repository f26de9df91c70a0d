#pragma once

#include "base/executor.hpp"
#include "units/units.hpp"

#include <atomic>
#include <map>
#include <mutex>

namespace altiplano::node {

/// Waits for results on behalf of many, with few threads: those who wait for one process share one, and slots that others
/// wait for get their turn in between. Safe from any thread.
class Waiting {
public:
    /// @param threads  processes whose results are waited for at once @param most  waiters at once
    Waiting(units::Compute& compute, std::size_t threads, std::size_t most);
    /// Everybody who still waits is told compute's word; call after it was stopped.
    ~Waiting();

    using Done = std::function<void(const Result<units::SlotResult>&)>;
    /// Has `done` called with the result of a slot from some thread, later. @return node.busy; `done` is not called then
    Result<void> ask(const units::Slot& slot, Done done);
    /// Does something slow on one of the threads. @return node.busy
    Result<void> run(std::function<void()> work);

    std::size_t count() const noexcept { return count_; }

private:
    struct Queue {
        std::multimap<std::uint64_t, Done> waiters;  ///< by nonce
        bool running = false;
    };
    Result<void> enter();
    void serve(const ProcessId& process);

    units::Compute& compute_;
    const std::size_t most_;
    std::atomic<std::size_t> count_ = 0;
    std::mutex mutex_;
    std::map<ProcessId, Queue> queues_;
    std::shared_ptr<void> gauge_;
    std::unique_ptr<Executor> executor_;
    Executor* const posts_;  ///< the same, also while it ends
};

}  // namespace altiplano::node
