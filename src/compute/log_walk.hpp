#pragma once

#include "compute/cron.hpp"
#include "units/units.hpp"

namespace altiplano::compute {

/// All evaluations of one process in order: its messages, and between them what its cron asks for. Whoever evaluates,
/// replays or doubts walks the log with this, so that all meet the same.
class LogWalk {
public:
    struct Source {
        /// Nothing at the log's end.
        std::function<Result<std::optional<units::LogEntry>>(std::uint64_t nonce)> entry;
        /// How far time is settled after the last message.
        std::function<Result<units::Closing>()> closing;
        Ticks::BlockTime block_time;
    };
    struct Step {
        units::Slot slot;
        std::optional<units::LogEntry> message{};
        std::optional<Tick> tick{};  ///< when it is no message
        std::int64_t time_ms = 0;
        std::uint64_t height = 0;  ///< bounds what WeaveDrive admits
    };

    /// @param at  the evaluation after which it begins; nothing: at slot 0
    LogWalk(ProcessId process, std::vector<Cron> crons, Source source, std::optional<units::Slot> at);
    LogWalk(const LogWalk&) = delete;

    /// What comes next; null when the log has not come further yet. Valid until `pop`.
    /// @return what the source returns; compute.disagreement when there is no evaluation `at`
    Result<const Step*> peek();
    void pop() { (void)take(); }
    /// `pop`, for who goes on with the step; what it has of a message is not its assignment where there is cron.
    Step take();
    const std::optional<units::Slot>& at() const noexcept { return at_; }
    /// The message before the next step. Only when that is a tick.
    const units::Assignment& left() const { return *left_; }
    /// How many ticks by time are due before the next message, or before the end; 0 unless the next step is a tick.
    std::uint64_t ticks_due() const { return step_ && step_->tick ? ticks_->timed_left() + 1 : 0; }

private:
    Result<void> begin_ticks();
    Result<void> end_ticks();

    ProcessId process_;
    std::vector<Cron> crons_;
    Source source_;
    std::optional<units::Slot> at_;
    std::optional<Moment> origin_;
    std::optional<units::Assignment> left_;  ///< of slot `at_->nonce`, once it was needed
    std::optional<units::LogEntry> right_;  ///< the message after, once it is there
    std::unique_ptr<Ticks> ticks_;
    std::optional<Step> step_;
};

}  // namespace altiplano::compute
