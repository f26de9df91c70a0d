#pragma once

#include "store/records.hpp"

#include <deque>
#include <map>
#include <memory>
#include <mutex>

namespace altiplano::store::sqlite {

/// What was written of late, so that nobody reads back from the disk what this program has just put there, nor looks there for
/// what cannot be there yet. Results are never overwritten, so what is kept cannot grow old. Bounded; safe from any thread.
class RecentResults {
public:
    using Key = std::tuple<ProcessId, std::uint64_t, std::uint64_t>;  ///< process, nonce, cron
    using Place = std::pair<std::uint64_t, std::uint64_t>;  ///< nonce, cron

    /// Of a result that is durable now.
    void add(const Evaluation& evaluation)
    {
        const auto& result = evaluation.result;
        const std::lock_guard lock(mutex_);
        if (const auto found = ends_.find(result.process); found != ends_.end())
            found->second = std::max(found->second, std::optional(Place{result.nonce, result.cron}));
        auto bytes = result.output.size();
        for (const auto& entry : evaluation.outbox)
            bytes += entry.json.size();
        if (bytes > kept_bytes_max)
            return;
        const Key key{result.process, result.nonce, result.cron};
        if (!kept_.emplace(key, std::make_shared<const Evaluation>(evaluation)).second)
            return;
        order_.push_back(key);
        if (order_.size() <= kept_max)
            return;
        kept_.erase(order_.front());
        order_.pop_front();
    }

    /// Null when it is not among those that are kept.
    std::shared_ptr<const Evaluation> find(const ProcessId& process, std::uint64_t nonce, std::uint64_t cron) const
    {
        const std::lock_guard lock(mutex_);
        const auto found = kept_.find({process, nonce, cron});
        return found == kept_.end() ? nullptr : found->second;
    }

    /// The last place of a process with a result, and nothing for one without any; `look` says it the first time, and must not
    /// miss what was added by then.
    template <class Look> Result<std::optional<Place>> end(const ProcessId& process, const Look& look)
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = ends_.find(process); found != ends_.end())
            return found->second;
        TRY(const auto last, look());
        if (ends_.size() >= ends_max)
            ends_.clear();
        ends_.emplace(process, last);
        return last;
    }

private:
    static constexpr std::size_t kept_max = 256;
    static constexpr std::size_t kept_bytes_max = 32 << 10;  ///< of one; a larger one is read again where it is needed
    static constexpr std::size_t ends_max = 10'000;
    mutable std::mutex mutex_;
    std::map<Key, std::shared_ptr<const Evaluation>> kept_;
    std::deque<Key> order_;
    std::map<ProcessId, std::optional<Place>> ends_;
};

}  // namespace altiplano::store::sqlite
