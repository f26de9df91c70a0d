#pragma once

#include "item/tags.hpp"
#include "units/types.hpp"

#include <functional>

/// What a process does by itself: evaluations that its tags ask for, at times and heights that follow from its log
/// (ao-protocol.md 5.8). They are the slots (process, nonce, 1), (process, nonce, 2)... between two messages.
namespace altiplano::compute {

struct Cron {
    std::string name;  ///< "0-5-minutes": which one of the process, and its interval; stands in cursors
    item::Tags tags;  ///< of its messages
    std::uint64_t every = 0;  ///< seconds or blocks
    bool blocks = false;
};

/// Reads `Cron-Interval: <n>-<unit>` and the `Cron-Tag-<Name>` that follow each. @return compute.bad_cron
Result<std::vector<Cron>> crons_of(const item::Tags& process);

/// A place in time and in the weave.
struct Moment {
    std::int64_t time_ms = 0;
    std::uint64_t height = 0;
};

/// One evaluation that is due.
struct Tick {
    std::int64_t time_ms = 0;
    std::uint64_t height = 0;  ///< bounds what WeaveDrive admits
    std::size_t cron = 0;  ///< which of the process's
    friend bool operator==(const Tick&, const Tick&) = default;
};

/// What is due after one message of a process and before the next, in order. Pure: follows from the tags, the times and
/// heights of three log entries, and blocks of the weave below them (law 1).
///
/// Times are whole seconds, counted from that of slot 0; a second belongs to the interval [left, end) that holds it, so
/// that each is met exactly once. (The original steps from the left message's millisecond, and meets some seconds twice.)
/// Block crons are due at the time of their block, which is moved into the interval if the clock of the assignment
/// disagrees. At one time blocks come first, then short intervals before long ones, then the order of the tags.
class Ticks {
public:
    /// When a block was sealed. Grows strictly with the height.
    using BlockTime = std::function<Result<std::int64_t>(std::uint64_t height)>;

    /// @param origin  slot 0
    /// @param left  the message before
    /// `crons` is borrowed.
    Ticks(const std::vector<Cron>& crons, Moment origin, Moment left, BlockTime block_time);

    /// The message after: what is due before it is settled.
    void end_before(Moment message)
    {
        end_ = message;
        block_ms_max_ = message.time_ms - 1;
    }
    /// No message yet, and none will come at this time or before: so far it is settled. May be called again with a later one.
    void end_with(Moment closed)
    {
        end_ = {.time_ms = closed.time_ms == INT64_MAX ? INT64_MAX : closed.time_ms + 1, .height = closed.height};
    }
    /// The next one, or nothing before the end. @return what `block_time` returns
    Result<std::optional<Tick>> next();
    /// How many by time are left before the end; those by blocks are not counted.
    std::uint64_t timed_left() const;

private:
    struct Due {
        std::size_t cron;
        std::uint64_t at;  ///< second or height of the next one
    };
    const std::vector<Cron>& crons_;
    Moment left_;
    Moment end_;  ///< exclusive in time, inclusive in height
    std::int64_t block_ms_max_ = INT64_MAX;
    BlockTime block_time_;
    std::vector<Due> timed_;  ///< short intervals first
    std::vector<Due> by_block_;  ///< in the order of the tags
};

}  // namespace altiplano::compute
