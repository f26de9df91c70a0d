#include "compute/turns.hpp"

#include "base/executor.hpp"

#include <algorithm>

namespace altiplano::compute {

namespace {
constexpr std::uint64_t least_ns = 1000;  // what a turn counts for at least, so that those that took nothing alternate
constexpr std::size_t accounts_kept = 1000, processes_kept = 1000;
}  // namespace

void Turns::Turn::end()
{
    const auto was = std::exchange(state_, State::ended);
    if (was == State::has)
        turns_.give_back(whose_, turns_.clock_.monotonic_ns() - began_ns_, false);
    else if (was == State::left)
        turns_.end_under_way(whose_);
}

void Turns::Turn::leave()
{
    if (state_ != State::has)
        return;
    state_ = State::left;
    turns_.give_back(whose_, turns_.clock_.monotonic_ns() - began_ns_, true);
}

void Turns::take(const Whose& whose, const std::function<void()>& when_waiting)
{
    std::unique_lock lock(mutex_);
    auto& account = accounts_[whose.account];
    account.had_ns = std::max(account.had_ns, now_ns_);
    auto& process = account.processes[whose.process];
    process.had_ns = std::max(process.had_ns, account.now_ns);
    Waiting me;
    process.queue.emplace_back(++number_, &me);
    if (process.queue.size() == 1)
        stand_in_line(account, whose.process, process);
    ++waiting_;
    call_next();
    if (me.called)
        return;
    if (when_waiting) {
        lock.unlock();
        when_waiting();
        lock.lock();
    }
    const auto is_called = [&] { return me.called; };
    if (called_.wait_for(lock, patience, is_called))
        return;
    lock.unlock();
    const Away away;
    lock.lock();
    called_.wait(lock, is_called);
}

void Turns::stand_in_line(Account& account, const std::string& name, const Process& process)
{
    account.waiting.emplace(process.had_ns, process.queue.front().first, name);
}

void Turns::give_back(const Whose& whose, std::int64_t took_ns, bool goes_on)
{
    const std::lock_guard lock(mutex_);
    const auto took = std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(took_ns, 0)), least_ns);
    const auto share = shares_.find(whose.account);
    auto& account = accounts_[whose.account];
    account.had_ns += took / (share == shares_.end() ? 1 : std::max<std::uint64_t>(share->second, 1));
    account.under_way += goes_on ? 1 : 0;

    // What it has waiting goes by what it has had now.
    auto& process = account.processes[whose.process];
    if (!process.queue.empty())
        account.waiting.erase({process.had_ns, process.queue.front().first, whose.process});
    process.had_ns += took;
    if (!process.queue.empty())
        stand_in_line(account, whose.process, process);
    ++free_;
    call_next();

    // Whoever has had no more than all others since is as good as new.
    forget(account);
    if (accounts_.size() > accounts_kept)
        std::erase_if(accounts_, [&](const auto& one) {
            return one.second.waiting.empty() && one.second.under_way == 0 && one.second.had_ns <= now_ns_;
        });
}

/// Looks at all of them only when there are twice as many as the last look left.
void Turns::forget(Account& account)
{
    if (account.processes.size() < std::max(processes_kept, 2 * account.processes_kept))
        return;
    std::erase_if(
        account.processes, [&](const auto& one) { return one.second.queue.empty() && one.second.had_ns <= account.now_ns; });
    account.processes_kept = account.processes.size();
}

void Turns::end_under_way(const Whose& whose)
{
    const std::lock_guard lock(mutex_);
    --accounts_[whose.account].under_way;
    call_next();
}

void Turns::allow_under_way(std::size_t each)
{
    const std::lock_guard lock(mutex_);
    if (std::exchange(under_way_max_, each) < each)
        call_next();
}

void Turns::call_next()
{
    bool called = false;
    while (free_ > 0 && waiting_ > 0) {
        auto next = accounts_.end();
        for (auto at = accounts_.begin(); at != accounts_.end(); ++at)
            if (!at->second.waiting.empty() && at->second.under_way < under_way_max_
                && (next == accounts_.end() || at->second.had_ns < next->second.had_ns))
                next = at;
        if (next == accounts_.end())
            break;
        auto& account = next->second;
        const auto first = account.waiting.extract(account.waiting.begin());
        const auto& name = std::get<2>(first.value());
        auto& process = account.processes[name];
        now_ns_ = std::max(now_ns_, account.had_ns);
        account.now_ns = std::max(account.now_ns, process.had_ns);
        process.queue.front().second->called = true;
        process.queue.pop_front();
        if (!process.queue.empty())
            stand_in_line(account, name, process);
        --free_;
        --waiting_;
        called = true;
    }
    if (called)
        called_.notify_all();
}

std::size_t Turns::waiting()
{
    const std::lock_guard lock(mutex_);
    return waiting_;
}

}  // namespace altiplano::compute
