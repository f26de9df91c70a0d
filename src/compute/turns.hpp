#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace altiplano::compute {

/// A few turns to evaluate, shared by owners: when several wait, each owner in its turn gets one, however many messages it
/// has. So nobody buys a core with one free signature. Within an owner, first come, first served. Safe from any thread.
class Turns {
public:
    explicit Turns(std::size_t turns)
        : free_(turns)
    {
    }
    Turns(const Turns&) = delete;
    Turns& operator=(const Turns&) = delete;

    /// One turn, from its construction on; waits for it.
    class Turn {
    public:
        Turn(Turns& turns, const std::string& owner)
            : turns_(&turns)
        {
            turns.take(owner);
        }
        ~Turn() { end(); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        /// Gives the turn back early; then nothing is left to give back.
        void end()
        {
            if (auto* const turns = std::exchange(turns_, nullptr))
                turns->give_back();
        }

    private:
        Turns* turns_;
    };

    std::size_t waiting();

private:
    struct Waiting {
        bool called = false;
    };
    void take(const std::string& owner);
    void give_back();

    std::mutex mutex_;
    std::condition_variable called_;
    std::size_t free_;
    std::map<std::string, std::deque<Waiting*>> queues_;  ///< by owner; none is empty
    std::string last_;  ///< the owner that was served last: the next one by name is next
};

}  // namespace altiplano::compute
