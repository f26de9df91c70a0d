#pragma once

#include "base/clock.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace altiplano::compute {

/// A few turns, shared by accounts and within an account by its processes: when several wait, the account that has had least time
/// for its share is next, and of that the process that has had least, however many messages each has and however long they take.
/// So nobody buys a core with one free signature. Safe from any thread.
///
/// Start-time fair queueing (Goyal, Vin, Cheng 1996): who waited for nothing for a while has saved nothing up.
class Turns {
public:
    using Shares = std::map<std::string, std::uint64_t>;
    struct Whose {
        std::string account;
        std::string process{};
    };

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
        /// @param when_waiting  called once if it has to be waited for, before that
        Turn(Turns& turns, Whose whose, const std::function<void()>& when_waiting = {})
            : turns_(turns)
            , whose_(std::move(whose))
        {
            turns_.take(whose_, when_waiting);
            began_ns_ = turns_.clock_.monotonic_ns();
        }
        ~Turn() { end(); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        /// Gives the turn back early; then nothing is left to give back.
        void end();
        /// Gives the turn back and goes on without one: until the end, it counts among what its account may have under way.
        void leave();

    private:
        enum class State : std::uint8_t { has, left, ended };
        Turns& turns_;
        const Whose whose_;
        State state_ = State::has;
        std::int64_t began_ns_ = 0;
    };

    /// How many of an account may go on without a turn; while it has as many, it gets no further turn. Any number at first.
    void allow_under_way(std::size_t each);
    std::size_t waiting();

private:
    struct Waiting {
        bool called = false;
    };
    /// `had_ns` is the time that somebody had for their share; it begins where the one that was served last began.
    struct Process {
        std::uint64_t had_ns = 0;
        std::deque<std::pair<std::uint64_t, Waiting*>> queue{};  ///< with a number that grows
    };
    struct Account {
        std::uint64_t had_ns = 0;
        std::uint64_t now_ns = 0;  ///< what that one of its processes had had that was served last
        std::size_t under_way = 0;
        std::map<std::string, Process> processes{};
        std::size_t processes_kept = 0;
        std::set<std::tuple<std::uint64_t, std::uint64_t, std::string>> waiting{};  ///< processes: time had, number, name
    };
    void take(const Whose& whose, const std::function<void()>& when_waiting);
    void give_back(const Whose& whose, std::int64_t took_ns, bool goes_on);
    void end_under_way(const Whose& whose);
    void call_next();
    static void stand_in_line(Account& account, const std::string& name, const Process& process);
    static void forget(Account& account);

    Clock& clock_;
    Shares shares_;
    std::mutex mutex_;
    std::condition_variable called_;
    std::size_t free_;
    std::size_t under_way_max_ = SIZE_MAX;
    std::uint64_t number_ = 0;
    std::size_t waiting_ = 0;
    std::map<std::string, Account> accounts_;
    std::uint64_t now_ns_ = 0;  ///< what the account that was served last had had then
};

}  // namespace altiplano::compute
