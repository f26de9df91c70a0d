#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace altiplano {

/// What was written of late, so that nobody reads back from the disk what this program has just put there: the newest values by
/// key, for what is never written twice. Bounded; safe from any thread.
template <class Key, class Value> class Recent {
public:
    /// @param value  copied, or moved from, only where it is kept
    /// @param bytes  how large the value is; a large one is not kept, and read again where it is needed
    template <class Given = Value> void add(const Key& key, Given&& value, std::size_t bytes)
    {
        if (bytes > bytes_max)
            return;
        auto shared = std::make_shared<const Value>(std::forward<Given>(value));
        const std::lock_guard lock(mutex_);
        if (!kept_.emplace(key, std::move(shared)).second)
            return;
        order_.push_back(key);
        if (order_.size() <= kept_max)
            return;
        kept_.erase(order_.front());
        order_.pop_front();
    }

    /// Null when it is not among those that are kept.
    std::shared_ptr<const Value> find(const Key& key) const
    {
        const std::lock_guard lock(mutex_);
        const auto found = kept_.find(key);
        return found == kept_.end() ? nullptr : found->second;
    }

    static constexpr std::size_t kept_max = 256;
    static constexpr std::size_t bytes_max = 32 << 10;  ///< of one

private:
    mutable std::mutex mutex_;
    std::map<Key, std::shared_ptr<const Value>> kept_;
    std::deque<Key> order_;  ///< the oldest first
};

}  // namespace altiplano
