#include "compute/cron.hpp"

#include "compute/errors.hpp"

#include <gtest/gtest.h>
#include <map>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

std::vector<Cron> crons(item::Tags tags)
{
    return crons_of(tags).value();
}

std::string refusal(item::Tags tags)
{
    const auto read = crons_of(tags);
    return read ? "taken" : std::string(read.error().code) + ": " + read.error().sentence;
}

/// Blocks ten seconds apart, from 0 at height 0.
Result<std::int64_t> every_ten_seconds(std::uint64_t height)
{
    return static_cast<std::int64_t>(height * 10'000);
}

std::vector<Tick> all(Ticks& ticks)
{
    std::vector<Tick> found;
    while (const auto tick = ticks.next().value())
        found.push_back(*tick);
    return found;
}

}  // namespace

TEST(Cron, reads_intervals_and_the_tags_that_follow_each)
{
    const auto read = crons({{"Cron-Interval", "5-minutes"}, {"Cron-Tag-Action", "Tick"}, {"Cron-Tag-X", "1"},
        {"Name", "between"}, {"Cron-Interval", "10-blocks"}, {"Cron-Tag-Action", "Block"}});
    ASSERT_EQ(read.size(), 2U);
    EXPECT_EQ(read[0].name, "0-5-minutes");
    EXPECT_EQ(read[0].every, 300U);
    EXPECT_FALSE(read[0].blocks);
    EXPECT_EQ(read[0].tags.first("Action"), "Tick");
    EXPECT_EQ(read[0].tags.first("X"), "1");
    EXPECT_EQ(read[1].name, "1-10-blocks");
    EXPECT_EQ(read[1].every, 10U);
    EXPECT_TRUE(read[1].blocks);
    EXPECT_EQ(read[1].tags.first("Action"), "Block");
}

TEST(Cron, knows_every_way_to_write_a_time)
{
    for (const auto& [text, seconds] :
        std::map<std::string, std::uint64_t>{{"1-second", 1}, {"30-Seconds", 30}, {"2-m", 120}, {"1-hour", 3600},
            {"3-hrs", 10'800}, {"1-day", 86'400}, {"2-weeks", 1'209'600}, {"1-year", 31'557'600}, {"1500-ms", 1}})
        EXPECT_EQ(crons({{"Cron-Interval", text}}).front().every, seconds) << text;
}

TEST(Cron, refuses_what_says_nothing)
{
    for (const auto* text : {"", "5", "minutes", "0-minutes", "-5-minutes", "5-fortnights", "5 minutes", "x-minutes", "5-",
             "99999999999999999999-days", "9999999999-days", "2000000000-blocks", "1.5-hours"})
        EXPECT_TRUE(refusal({{"Cron-Interval", text}}).starts_with(std::string(errors::bad_cron))) << text;
    EXPECT_NE(refusal({{"Cron-Interval", "999-ms"}}).find("time-based cron cannot be less than 1 second"), std::string::npos);
    EXPECT_NE(refusal({{"Cron-Tag-Action", "Tick"}}).find("Unmatched Cron-Tag with no preceding Cron-Interval: Cron-Tag-Action"),
        std::string::npos);
}

TEST(Cron, is_due_at_every_multiple_after_the_beginning_and_never_at_it)
{
    const auto five = crons({{"Cron-Interval", "5-seconds"}});
    Ticks ticks(five, {.time_ms = 100'250, .height = 7}, {.time_ms = 100'250, .height = 7}, every_ten_seconds);
    ticks.end_before({.time_ms = 115'000, .height = 9});
    EXPECT_EQ(all(ticks), (std::vector<Tick>{{105'000, 7, 0}, {110'000, 7, 0}})) << "the end belongs to what follows";
    ticks.end_with({.time_ms = 115'000, .height = 9});
    EXPECT_EQ(all(ticks), (std::vector<Tick>{{115'000, 7, 0}})) << "a settled time is included";
}

TEST(Cron, meets_each_second_once_wherever_messages_come_between)
{
    const auto each = crons({{"Cron-Interval", "1-second"}, {"Cron-Interval", "3-seconds"}});
    const Moment origin{.time_ms = 1'000'900, .height = 1};
    // Edges within one second, on a second, and far apart.
    const std::int64_t edges[] = {1'000'900, 1'000'901, 1'001'000, 1'001'001, 1'002'200, 1'002'900, 1'010'000, 1'100'000};
    std::map<std::pair<std::int64_t, std::size_t>, int> met;
    for (std::size_t i = 0; i + 1 < std::size(edges); ++i) {
        Ticks ticks(each, origin, {.time_ms = edges[i], .height = 1}, every_ten_seconds);
        ticks.end_before({.time_ms = edges[i + 1], .height = 1});
        const auto due = ticks.timed_left();
        const auto found = all(ticks);
        EXPECT_EQ(found.size(), due);
        EXPECT_EQ(ticks.timed_left(), 0U);
        for (const auto& tick : found) {
            EXPECT_GE(tick.time_ms, edges[i]);
            EXPECT_LT(tick.time_ms, edges[i + 1]);
            ++met[{tick.time_ms, tick.cron}];
        }
    }
    EXPECT_EQ(met.size(), 99U + 33U) << "seconds 1001 to 1099, and every third";
    for (const auto& [which, times] : met)
        EXPECT_EQ(times, 1) << which.first;
}

TEST(Cron, puts_blocks_first_then_short_intervals_then_the_order_of_the_tags)
{
    const auto mixed = crons({{"Cron-Interval", "20-seconds"}, {"Cron-Interval", "10-seconds"}, {"Cron-Interval", "1-block"},
        {"Cron-Interval", "2-blocks"}, {"Cron-Interval", "10-secs"}});
    Ticks ticks(mixed, {.time_ms = 0, .height = 0}, {.time_ms = 0, .height = 0}, every_ten_seconds);
    ticks.end_before({.time_ms = 20'001, .height = 2});
    EXPECT_EQ(all(ticks),
        (std::vector<Tick>{{10'000, 1, 2}, {10'000, 0, 1}, {10'000, 0, 4}, {20'000, 2, 2}, {20'000, 2, 3}, {20'000, 0, 1},
            {20'000, 0, 4}, {20'000, 0, 0}}));
}

TEST(Cron, by_blocks_is_due_for_each_block_below_the_next_message_once)
{
    const auto third = crons({{"Cron-Interval", "3-blocks"}});
    // The assignment's clock runs behind the blocks': all of them still come before it.
    Ticks ticks(third, {.time_ms = 0, .height = 2}, {.time_ms = 41'000, .height = 4}, every_ten_seconds);
    ticks.end_before({.time_ms = 60'000, .height = 8});
    EXPECT_EQ(all(ticks), (std::vector<Tick>{{50'000, 5, 0}, {59'999, 8, 0}}));
    Ticks after(third, {.time_ms = 0, .height = 2}, {.time_ms = 60'000, .height = 8}, every_ten_seconds);
    after.end_with({.time_ms = 109'999, .height = 20});
    EXPECT_EQ(all(after), (std::vector<Tick>{})) << "block 11 is not settled";
    after.end_with({.time_ms = 110'000, .height = 20});
    EXPECT_EQ(all(after), (std::vector<Tick>{{110'000, 11, 0}}));
}

TEST(Cron, gives_the_same_ticks_however_often_the_end_was_moved)
{
    const auto mixed = crons({{"Cron-Interval", "7-seconds"}, {"Cron-Interval", "2-blocks"}, {"Cron-Interval", "11-seconds"}});
    const Moment origin{.time_ms = 3'300, .height = 0};
    Ticks whole(mixed, origin, origin, every_ten_seconds);
    whole.end_before({.time_ms = 500'000, .height = 49});
    const auto expected = all(whole);
    Ticks steps(mixed, origin, origin, every_ten_seconds);
    std::vector<Tick> found;
    for (std::int64_t now = 3'300; now < 480'000; now += 1'700) {
        steps.end_with({.time_ms = now, .height = static_cast<std::uint64_t>(now / 10'000)});
        for (const auto& tick : all(steps))
            found.push_back(tick);
    }
    steps.end_before({.time_ms = 500'000, .height = 49});
    for (const auto& tick : all(steps))
        found.push_back(tick);
    EXPECT_EQ(found, expected);
}
