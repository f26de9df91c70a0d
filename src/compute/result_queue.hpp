#pragma once

#include "store/records.hpp"
#include "units/types.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace altiplano::compute {

/// Results on their way to the cache. Whoever waits first writes for all that came until then, in one transaction with one
/// sync; meanwhile the next messages are evaluated. Safe from any thread.
class ResultQueue {
public:
    struct Pending {
        store::Evaluation evaluation;
        std::int64_t since_ns = 0;
        std::atomic<bool> done = false;
        Result<void> outcome{};  ///< once it is done; store.result_differs, store.*
        units::Slot slot() const { return {evaluation.result.process, evaluation.result.nonce, evaluation.result.cron}; }
    };

    explicit ResultQueue(store::Cache& cache)
        : cache_(cache)
    {
    }
    /// Takes a result; those of one process in order.
    std::shared_ptr<Pending> add(store::Evaluation evaluation, std::int64_t now_ns = 0);
    /// Waits until the result is durable.
    /// @param patience  for which others are given the time to come along; whoever has none writes for all
    Result<void> wait(Pending& pending, std::chrono::milliseconds patience = {});
    /// Whether some are being written now.
    bool is_writing();

private:
    store::Cache& cache_;
    std::mutex mutex_;
    std::condition_variable written_;
    bool writing_ = false;
    std::vector<std::shared_ptr<Pending>> queue_;
};

}  // namespace altiplano::compute
