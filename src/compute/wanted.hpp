#pragma once

#include "units/types.hpp"

#include <condition_variable>
#include <map>
#include <mutex>

namespace altiplano::compute {

/// Who waits for results of one process, lowest slot first: that is the order in which they come to its machine, and who has it
/// sees how much is waited for beyond. Safe from any thread.
class Wanted {
public:
    /// A place among those that wait, from its construction on.
    class Place {
    public:
        Place(Wanted& wanted, const units::Slot& slot)
            : wanted_(wanted)
        {
            const std::lock_guard lock(wanted_.mutex_);
            at_ = wanted_.places_.emplace(slot, this);
        }
        ~Place()
        {
            const std::lock_guard lock(wanted_.mutex_);
            wanted_.places_.erase(at_);
            for (auto first = wanted_.places_.begin();
                first != wanted_.places_.end() && first->first == wanted_.places_.begin()->first; ++first)
                first->second->first_.notify_one();
        }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        /// Waits until nobody waits for a slot before.
        void come_first()
        {
            std::unique_lock lock(wanted_.mutex_);
            first_.wait(lock, [&] { return wanted_.places_.begin()->first == at_->first; });
        }

    private:
        Wanted& wanted_;
        std::multimap<units::Slot, Place*>::iterator at_;
        std::condition_variable first_;
    };

    /// Whether somebody waits for a result after that one.
    bool beyond(const units::Slot& slot)
    {
        const std::lock_guard lock(mutex_);
        return !places_.empty() && places_.rbegin()->first > slot;
    }

    /// How many results after that one somebody waits for, counted up to `most`.
    std::size_t after(const units::Slot& slot, std::size_t most)
    {
        const std::lock_guard lock(mutex_);
        std::size_t found = 0;
        for (auto at = places_.upper_bound(slot); at != places_.end() && found < most; at = places_.upper_bound(at->first))
            ++found;
        return found;
    }

    /// Whether somebody waits for that result or one after it.
    bool reaches(const units::Slot& slot)
    {
        const std::lock_guard lock(mutex_);
        return !places_.empty() && places_.rbegin()->first >= slot;
    }

private:
    std::mutex mutex_;
    std::multimap<units::Slot, Place*> places_;
};

}  // namespace altiplano::compute
