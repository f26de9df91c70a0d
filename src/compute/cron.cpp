#include "compute/cron.hpp"

#include "compute/errors.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {

constexpr std::string_view tag_beginning = "Cron-Tag-";
// A year of 365.25 days, as the library has it that the original reads these with (npm's ms).
constexpr std::pair<std::string_view, std::uint64_t> units_ms[] = {{"years", 31'557'600'000}, {"year", 31'557'600'000},
    {"yrs", 31'557'600'000}, {"yr", 31'557'600'000}, {"y", 31'557'600'000}, {"weeks", 604'800'000}, {"week", 604'800'000},
    {"w", 604'800'000}, {"days", 86'400'000}, {"day", 86'400'000}, {"d", 86'400'000}, {"hours", 3'600'000}, {"hour", 3'600'000},
    {"hrs", 3'600'000}, {"hr", 3'600'000}, {"h", 3'600'000}, {"minutes", 60'000}, {"minute", 60'000}, {"mins", 60'000},
    {"min", 60'000}, {"m", 60'000}, {"seconds", 1000}, {"second", 1000}, {"secs", 1000}, {"sec", 1000}, {"s", 1000},
    {"milliseconds", 1}, {"millisecond", 1}, {"msecs", 1}, {"msec", 1}, {"ms", 1}};
constexpr std::uint64_t interval_max = 1'000'000'000;  // of either unit; keeps every sum below from wrapping

Result<Cron> read_interval(std::string_view text, std::size_t index)
{
    const auto bad = [&](std::string_view why) {
        return fail(
            errors::bad_cron, fmt::format("Cron-Interval is {}: {}", text, why), "write it as 5-minutes, 1-hour or 10-blocks");
    };
    const auto dash = text.find('-');
    std::uint64_t number = 0;
    const auto digits = text.substr(0, dash);
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (dash == text.npos || code != std::errc{} || end != digits.data() + digits.size() || number == 0)
        return bad("<number>-<unit> was expected");
    std::string unit(text.substr(dash + 1));
    std::ranges::transform(unit, unit.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    Cron cron{.name = fmt::format("{}-{}", index, text), .tags = {}};
    if (unit == "block" || unit == "blocks") {
        cron.blocks = true;
        cron.every = number;
    } else {
        const auto* const found =
            std::ranges::find(units_ms, std::string_view(unit), &std::pair<std::string_view, std::uint64_t>::first);
        if (found == std::end(units_ms))
            return bad("its unit is unknown");
        if (number > interval_max * 1000)
            return bad("it is too long");
        if (number < 1000 && number * found->second < 1000)
            return bad("time-based cron cannot be less than 1 second");
        cron.every = number > UINT64_MAX / found->second ? UINT64_MAX : number * found->second / 1000;
    }
    if (cron.every > interval_max)
        return bad("it is too long");
    return cron;
}

std::uint64_t second_of(std::int64_t time_ms)
{
    return static_cast<std::uint64_t>(std::max<std::int64_t>(time_ms, 0)) / 1000;
}

/// The first of origin + every, origin + 2 every, ... that is at least `least`.
std::uint64_t first_due(std::uint64_t origin, std::uint64_t every, std::uint64_t least)
{
    const auto passed = least > origin ? least - origin : 1;
    return origin + (passed + every - 1) / every * every;
}

}  // namespace

Result<std::vector<Cron>> crons_of(const item::Tags& process)
{
    std::vector<Cron> crons;
    for (const auto& tag : process) {
        if (tag.name == "Cron-Interval") {
            TRY(auto cron, read_interval(tag.value, crons.size()));
            crons.push_back(std::move(cron));
        } else if (tag.name.starts_with(tag_beginning)) {
            if (crons.empty())
                return fail(errors::bad_cron, fmt::format("Unmatched Cron-Tag with no preceding Cron-Interval: {}", tag.name));
            crons.back().tags.add(tag.name.substr(tag_beginning.size()), tag.value);
        }
    }
    return crons;
}

Ticks::Ticks(const std::vector<Cron>& crons, Moment origin, Moment left, BlockTime block_time)
    : crons_(crons)
    , left_(left)
    , end_(left)
    , block_time_(std::move(block_time))
{
    // A second belongs to the interval when it begins in it.
    const auto least = static_cast<std::uint64_t>(std::max<std::int64_t>(left.time_ms, 0) + 999) / 1000;
    for (std::size_t i = 0; i < crons.size(); ++i) {
        if (crons[i].blocks)
            by_block_.push_back({i, first_due(origin.height, crons[i].every, left.height + 1)});
        else
            timed_.push_back({i, first_due(second_of(origin.time_ms), crons[i].every, least)});
    }
    std::ranges::sort(timed_, {}, [&](const Due& due) { return std::pair(crons_[due.cron].every, due.cron); });
}

Result<std::optional<Tick>> Ticks::next()
{
    auto timed = std::ranges::min_element(timed_, {}, &Due::at);
    auto block = std::ranges::min_element(by_block_, {}, &Due::at);
    const auto time_ms = timed == timed_.end() ? INT64_MAX : static_cast<std::int64_t>(timed->at * 1000);
    if (block != by_block_.end() && block->at <= end_.height) {
        TRY(const auto sealed_ms, block_time_(block->at));
        // The assignment's clock may differ from the block's: what lies below the next message's height comes before it.
        const auto due_ms = std::clamp(sealed_ms, left_.time_ms, std::max(left_.time_ms, block_ms_max_));
        if (due_ms < end_.time_ms && due_ms <= time_ms) {
            const Tick tick{.time_ms = due_ms, .height = block->at, .cron = block->cron};
            block->at += crons_[block->cron].every;
            return std::optional(tick);
        }
    }
    if (time_ms >= end_.time_ms)
        return std::optional<Tick>{};
    const Tick tick{.time_ms = time_ms, .height = left_.height, .cron = timed->cron};
    timed->at += crons_[timed->cron].every;
    return std::optional(tick);
}

std::uint64_t Ticks::timed_left() const
{
    std::uint64_t left = 0;
    for (const auto& due : timed_) {
        const auto from_ms = static_cast<std::int64_t>(due.at * 1000);
        if (from_ms < end_.time_ms)
            left += static_cast<std::uint64_t>(end_.time_ms - 1 - from_ms) / 1000 / crons_[due.cron].every + 1;
    }
    return left;
}

}  // namespace altiplano::compute
