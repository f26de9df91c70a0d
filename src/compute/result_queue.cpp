#include "compute/result_queue.hpp"

#include <utility>

namespace altiplano::compute {

std::shared_ptr<ResultQueue::Pending> ResultQueue::add(store::Evaluation evaluation, std::int64_t now_ns)
{
    auto pending = std::make_shared<Pending>();
    pending->evaluation = std::move(evaluation);
    pending->since_ns = now_ns;
    const std::lock_guard lock(mutex_);
    queue_.push_back(pending);
    return pending;
}

Result<void> ResultQueue::wait(Pending& pending, std::chrono::milliseconds patience)
{
    std::unique_lock lock(mutex_);
    if (patience.count() > 0)
        written_.wait_for(lock, patience, [&] { return pending.done.load(); });
    while (!pending.done) {
        if (writing_) {
            written_.wait(lock);
            continue;
        }
        // What is not done and not being written is in the queue.
        writing_ = true;
        const auto batch = std::exchange(queue_, {});
        lock.unlock();
        std::vector<const store::Evaluation*> evaluations;
        evaluations.reserve(batch.size());
        for (const auto& one : batch)
            evaluations.push_back(&one->evaluation);
        auto outcomes = cache_.put_results(evaluations);
        lock.lock();
        writing_ = false;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            batch[i]->outcome = outcomes ? std::move((*outcomes)[i]) : std::unexpected(outcomes.error());
            batch[i]->done = true;
        }
        written_.notify_all();
    }
    return pending.outcome;
}

bool ResultQueue::is_writing()
{
    const std::lock_guard lock(mutex_);
    return writing_;
}

}  // namespace altiplano::compute
