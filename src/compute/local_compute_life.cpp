// Which machines are awake: who is put to sleep, and who wakes before it is asked.
#include "base/log.hpp"
#include "compute/local_compute.hpp"

#include <algorithm>

namespace altiplano::compute {

/// An image stays, the worker goes to whoever needs one next.
void LocalCompute::sleep(Lane& lane)
{
    // Not durable: losing it costs a replay, and one that a crash cut is found like any other damage.
    const auto saved = save_image(lane, false);
    if (!saved)
        log::warning("no image of {}: {} (it will be replayed)", lane.process.text(), saved.error().sentence);
    if (saved && lane.worker && !lane.worker->share().gives_way())
        pool_.give_back(std::move(lane.worker), *lane.context);
    drop_worker(lane);
    if (lane.walk)
        lane.evaluated = lane.walk->at();
    lane.walk.reset();
    lane.context.reset();
}

/// Keeps `warm_max` machines, and what they may take in memory; those unused for longest become images. One that is busy
/// is left alone.
void LocalCompute::put_others_to_sleep()
{
    struct Chosen {
        std::shared_ptr<Lane> lane;
        std::unique_lock<std::timed_mutex> busy;
    };
    std::vector<Chosen> chosen;
    {
        const std::lock_guard lock(mutex_);
        auto count = awake_.size();
        auto bytes = resident_bytes();
        allow_under_way(bytes);
        const auto is_enough = [&] { return count <= options_.warm_max && bytes <= options_.warm_bytes_max; };
        if (is_enough())
            return;
        std::vector<std::pair<std::int64_t, std::shared_ptr<Lane>>> by_age;
        by_age.reserve(awake_.size());
        for (const auto& lane : awake_)
            by_age.emplace_back(lane->used_ns.load(), lane);
        std::ranges::sort(by_age, {}, [](const auto& pair) { return std::pair(pair.first, pair.second->process); });
        for (auto& [used_ns, lane] : by_age) {
            if (is_enough())
                break;
            std::unique_lock busy(lane->mutex, std::try_to_lock);
            if (!busy || !lane->worker || !lane->begun.empty())
                continue;
            --count;
            bytes -= std::min<std::uint64_t>(bytes, lane->resident_bytes);
            // Whoever counts next does not count this one: several threads would put too many to sleep.
            awake_.erase(lane);
            chosen.push_back({std::move(lane), std::move(busy)});
        }
    }
    for (auto& one : chosen) {
        sleep(*one.lane);
        one.busy.unlock();
    }
}

/// Of all that are awake; under `mutex_`.
std::uint64_t LocalCompute::resident_bytes() const
{
    std::uint64_t bytes = 0;
    for (const auto& lane : awake_)
        bytes += lane->resident_bytes;
    return bytes;
}

/// How many long evaluations of an account there may be, with what awake machines take.
void LocalCompute::allow_under_way(std::uint64_t bytes)
{
    turns_.allow_under_way(bytes > options_.warm_bytes_max ? 1 : options_.long_max);
}

/// Soon, so that nobody waits for it; at once where they are so many that no idle worker would be left for who wakes, or take too
/// much memory.
void LocalCompute::put_others_to_sleep_soon()
{
    if (!life_)
        return put_others_to_sleep();
    {
        const std::lock_guard lock(mutex_);
        const auto bytes = resident_bytes();
        allow_under_way(bytes);
        if (awake_.size() <= options_.warm_max + options_.idle_workers && bytes <= options_.warm_bytes_max) {
            if (awake_.size() <= options_.warm_max || std::exchange(is_going_, true))
                return;
            life_->post([this] {
                {
                    const std::lock_guard going(mutex_);
                    is_going_ = false;  // whoever is one too many from now on says so again
                }
                put_others_to_sleep();
            });
            return;
        }
    }
    put_others_to_sleep();
}

/// A process that sleeps wakes while its message is still on its way into the log: what it costs is what it would cost then. Only
/// where nobody waits for a turn, who would have to wait for this as well.
void LocalCompute::expect(const ProcessId& process)
{
    if (!life_ || stopping_ || turns_.waiting() > 0)
        return;
    std::shared_ptr<Lane> lane;
    {
        const std::lock_guard lock(mutex_);
        const auto found = lanes_.find(process);
        if (found == lanes_.end())
            return;
        lane = found->second;
        lane->used_ns = clock_.monotonic_ns();  // else it might be the next to sleep
        if (awake_.contains(lane) || waking_ == options_.workers)
            return;
        ++waking_;
    }
    life_->post([this, lane] {
        if (const std::unique_lock idle(lane->mutex, std::try_to_lock); idle)
            wake_early(*lane);
        const std::lock_guard lock(mutex_);
        --waking_;
    });
}

/// Whatever goes wrong is found again, and told, by whoever asks for the result.
void LocalCompute::wake_early(Lane& lane)
{
    // Whoever has not slept since the start of this node may have no image, and a long log.
    if (stopping_ || lane.stopped || lane.worker || !lane.evaluated)
        return;
    const auto woken = [&]() -> Result<void> {
        TRY_OK(load_walk(lane));
        return wake(lane, lane.walk->at());
    }();
    if (!woken)
        drop_worker(lane);
}

}  // namespace altiplano::compute
