#pragma once

#include "base/recent.hpp"
#include "store/records.hpp"

#include <tuple>

namespace altiplano::store::sqlite {

/// Results of late, and how far each process has come, so that nobody looks on the disk for what cannot be there yet. Bounded;
/// safe from any thread.
class RecentResults {
public:
    using Key = std::tuple<ProcessId, std::uint64_t, std::uint64_t>;  ///< process, nonce, cron
    using Place = std::pair<std::uint64_t, std::uint64_t>;  ///< nonce, cron

    /// Of a result that is durable now.
    void add(const Evaluation& evaluation)
    {
        const auto& result = evaluation.result;
        {
            const std::lock_guard lock(mutex_);
            if (const auto found = ends_.find(result.process); found != ends_.end())
                found->second = std::max(found->second, std::optional(Place{result.nonce, result.cron}));
        }
        auto bytes = result.output.size();
        for (const auto& entry : evaluation.outbox)
            bytes += entry.json.size();
        kept_.add({result.process, result.nonce, result.cron}, evaluation, bytes);
    }

    /// Null when it is not among those that are kept.
    std::shared_ptr<const Evaluation> find(const ProcessId& process, std::uint64_t nonce, std::uint64_t cron) const
    {
        return kept_.find({process, nonce, cron});
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
    static constexpr std::size_t ends_max = 10'000;
    Recent<Key, Evaluation> kept_;
    std::mutex mutex_;  ///< of `ends_`
    std::map<ProcessId, std::optional<Place>> ends_;
};

}  // namespace altiplano::store::sqlite
