#pragma once

#include "base/clock.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace altiplano::compute {

/// A few turns to evaluate, shared by accounts: when several wait, the one that has had least time for its share is next,
/// however many messages it has and however long each takes. So nobody buys a core with one free signature. Within an account,
/// first come, first served. Safe from any thread.
///
/// Start-time fair queueing (Goyal, Vin, Cheng 1996): an account that waited for nothing for a while has saved nothing up.
class Turns {
public:
    using Shares = std::map<std::string, std::uint64_t>;
    /// @param shares  of accounts, at least 1; whoever is not named has 1
    Turns(std::size_t turns, Clock& clock, Shares shares = {})
        : clock_(clock)
        , shares_(std::move(shares))
        , free_(turns)
    {
    }
    Turns(const Turns&) = delete;
    Turns& operator=(const Turns&) = delete;

    /// One turn, from its construction on; waits for it.
    class Turn {
    public:
        Turn(Turns& turns, const std::string& account)
            : turns_(&turns)
            , account_(account)
        {
            turns.take(account);
            began_ns_ = turns.clock_.monotonic_ns();
        }
        ~Turn() { end(); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        /// Gives the turn back early; then nothing is left to give back.
        void end()
        {
            if (auto* const turns = std::exchange(turns_, nullptr))
                turns->give_back(account_, turns->clock_.monotonic_ns() - began_ns_);
        }

    private:
        Turns* turns_;
        std::string account_;
        std::int64_t began_ns_ = 0;
    };

    std::size_t waiting();

private:
    struct Waiting {
        bool called = false;
    };
    /// `had_ns` is the time that an account had for its share; it begins where the one that was served last began.
    struct Account {
        std::uint64_t had_ns = 0;
        std::deque<Waiting*> queue{};
    };
    void take(const std::string& account);
    void give_back(const std::string& account, std::int64_t took_ns);

    Clock& clock_;
    Shares shares_;
    std::mutex mutex_;
    std::condition_variable called_;
    std::size_t free_;
    std::map<std::string, Account> accounts_;
    std::uint64_t now_ns_ = 0;  ///< what the one that was served last had had then
};

}  // namespace altiplano::compute
