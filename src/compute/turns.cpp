#include "compute/turns.hpp"

namespace altiplano::compute {

void Turns::take(const std::string& owner)
{
    std::unique_lock lock(mutex_);
    if (free_ > 0) {
        --free_;
        return;
    }
    Waiting me;
    queues_[owner].push_back(&me);
    called_.wait(lock, [&] { return me.called; });
}

void Turns::give_back()
{
    const std::lock_guard lock(mutex_);
    if (queues_.empty()) {
        ++free_;
        return;
    }
    auto next = queues_.upper_bound(last_);
    if (next == queues_.end())
        next = queues_.begin();
    last_ = next->first;
    next->second.front()->called = true;
    next->second.pop_front();
    if (next->second.empty())
        queues_.erase(next);
    called_.notify_all();
}

std::size_t Turns::waiting()
{
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (const auto& [owner, queue] : queues_)
        count += queue.size();
    return count;
}

}  // namespace altiplano::compute
