#include "compute/turns.hpp"

#include <algorithm>

namespace altiplano::compute {

namespace {
constexpr std::uint64_t least_ns = 1000;  // what a turn counts for at least, so that those that took nothing alternate
constexpr std::size_t accounts_kept = 1000;
}  // namespace

void Turns::take(const std::string& account)
{
    std::unique_lock lock(mutex_);
    auto& mine = accounts_[account];
    mine.had_ns = std::max(mine.had_ns, now_ns_);
    if (free_ > 0) {
        --free_;
        now_ns_ = mine.had_ns;
        return;
    }
    Waiting me;
    mine.queue.push_back(&me);
    called_.wait(lock, [&] { return me.called; });
}

void Turns::give_back(const std::string& account, std::int64_t took_ns)
{
    const std::lock_guard lock(mutex_);
    const auto share = shares_.find(account);
    accounts_[account].had_ns += std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(took_ns, 0)), least_ns)
        / (share == shares_.end() ? 1 : std::max<std::uint64_t>(share->second, 1));

    auto next = accounts_.end();
    for (auto at = accounts_.begin(); at != accounts_.end(); ++at)
        if (!at->second.queue.empty() && (next == accounts_.end() || at->second.had_ns < next->second.had_ns))
            next = at;
    if (next == accounts_.end()) {
        ++free_;
    } else {
        now_ns_ = std::max(now_ns_, next->second.had_ns);
        next->second.queue.front()->called = true;
        next->second.queue.pop_front();
        called_.notify_all();
    }
    // Whoever has had no more than all others since is as good as new.
    if (accounts_.size() > accounts_kept)
        std::erase_if(accounts_, [&](const auto& one) { return one.second.queue.empty() && one.second.had_ns <= now_ns_; });
}

std::size_t Turns::waiting()
{
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (const auto& [account, one] : accounts_)
        count += one.queue.size();
    return count;
}

}  // namespace altiplano::compute
