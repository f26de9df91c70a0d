#include "compute/log_walk.hpp"

#include "compute/errors.hpp"

#include <fmt/format.h>

namespace altiplano::compute {

namespace {

Moment moment_of(const units::Assignment& assignment)
{
    return {.time_ms = assignment.timestamp_ms, .height = assignment.height};
}

}  // namespace

LogWalk::LogWalk(ProcessId process, std::vector<Cron> crons, Source source, std::optional<units::Slot> at)
    : process_(process)
    , crons_(std::move(crons))
    , source_(std::move(source))
    , at_(at)
{
}

Result<const LogWalk::Step*> LogWalk::peek()
{
    if (step_)
        return &*step_;
    if (!right_) {
        TRY(right_, source_.entry(at_ ? at_->nonce + 1 : 0));
    }

    // Before the next message comes what is due by then.
    if (at_ && !crons_.empty()) {
        TRY_OK(begin_ticks());
        TRY_OK(end_ticks());
        TRY(const auto tick, ticks_->next());
        if (tick) {
            step_ = Step{
                .slot = {process_, at_->nonce, at_->cron + 1}, .tick = tick, .time_ms = tick->time_ms, .height = tick->height};
            return &*step_;
        }
    }
    if (!right_)
        return nullptr;
    const auto moment = moment_of(right_->assignment);
    step_ = Step{.slot = {process_, at_ ? at_->nonce + 1 : 0},
        .message = std::exchange(right_, std::nullopt),
        .time_ms = moment.time_ms,
        .height = moment.height};
    return &*step_;
}

LogWalk::Step LogWalk::take()
{
    ENSURE(step_, "what is taken was peeked at");
    at_ = step_->slot;
    if (step_->message) {
        if (!origin_ && at_->nonce == 0)
            origin_ = moment_of(step_->message->assignment);
        left_.reset();
        if (!crons_.empty())
            left_ = std::move(step_->message->assignment);
        ticks_.reset();
    }
    return *std::exchange(step_, std::nullopt);
}

Result<void> LogWalk::begin_ticks()
{
    if (ticks_)
        return {};
    const auto there = [&](std::uint64_t nonce) -> Result<units::Assignment> {
        TRY(auto entry, source_.entry(nonce));
        if (!entry)
            return fail(
                errors::disagreement, fmt::format("slot {} of {} has a result and is not in the log", nonce, process_.text()));
        return std::move(entry->assignment);
    };
    if (!origin_) {
        TRY(const auto spawned, there(0));
        origin_ = moment_of(spawned);
    }
    if (!left_) {
        TRY(left_, there(at_->nonce));
    }
    ticks_ = std::make_unique<Ticks>(crons_, *origin_, moment_of(*left_), source_.block_time);

    // Those that were evaluated already.
    TRY_OK(end_ticks());
    for (std::uint64_t i = 0; i < at_->cron; ++i) {
        const auto passed = ticks_->next();
        if (passed && *passed)
            continue;
        ticks_.reset();
        if (!passed)
            return std::unexpected(passed.error());
        return fail(errors::disagreement,
            fmt::format("slot {} of {} has {} cron evaluations with results; by the log there are {}", at_->nonce,
                process_.text(), at_->cron, i));
    }
    return {};
}

Result<void> LogWalk::end_ticks()
{
    if (right_) {
        ticks_->end_before(moment_of(right_->assignment));
        return {};
    }
    TRY(const auto closing, source_.closing());
    ticks_->end_with({.time_ms = closing.time_ms, .height = closing.height});
    return {};
}

}  // namespace altiplano::compute
