#include "compute/outcome.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

units::SlotResult result(std::string output, units::SlotResult::Kind kind = units::SlotResult::Kind::result)
{
    return {.slot = {{}, 4}, .kind = kind, .output = std::move(output), .state_root = {}, .gas = 9};
}

}  // namespace

TEST(Outcome, fails_unless_the_guest_says_ok_and_no_error)
{
    EXPECT_FALSE(failed(R"({"ok":true,"response":{}})"));
    EXPECT_FALSE(failed(R"({"ok":true,"response":{"Error":null,"Output":{}}})"));
    for (const auto* output : {"", "text", "{}", R"({"ok":true})", R"({"ok":false,"response":{}})",
             R"({"ok":"true","response":{}})", R"({"ok":true,"response":{"Error":"no"}})",
             R"({"ok":true,"response":{"Error":false}})", R"([1])", R"({"ok":true,"response":{})"})
        EXPECT_TRUE(failed(output)) << output;
    std::string deep = R"({"ok":true,"response":)";
    for (int i = 0; i < 100; ++i)
        deep += "[";
    for (int i = 0; i < 100; ++i)
        deep += "]";
    EXPECT_TRUE(failed(deep + "}"));
}

TEST(Outcome, sends_messages_then_spawns_then_assignments_byte_for_byte)
{
    const auto outbox = outbox_of(result(
        R"({"ok":true,"response":{"Spawns":[{"s":1}],"Assignments":[{"a":1}],"Messages":[{"Data":"\u0041 ÿ"}, {"m":2}]}})"));
    ASSERT_EQ(outbox.size(), 4U);
    using Kind = store::OutboxRecord::Kind;
    const std::pair<Kind, std::string> expected[] = {{Kind::message, R"({"Data":"\u0041 ÿ"})"}, {Kind::message, R"({"m":2})"},
        {Kind::spawn, R"({"s":1})"}, {Kind::assignment, R"({"a":1})"}};
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(outbox[i].index, i);
        EXPECT_EQ(outbox[i].kind, expected[i].first);
        EXPECT_EQ(outbox[i].json, expected[i].second);
    }
}

TEST(Outcome, sends_nothing_when_it_failed_or_has_nothing)
{
    EXPECT_TRUE(
        outbox_of(result(R"({"ok":true,"response":{"Error":"x","Messages":[{}]}})", units::SlotResult::Kind::error)).empty());
    EXPECT_TRUE(outbox_of(result("trap.depth: x", units::SlotResult::Kind::guest_fault)).empty());
    EXPECT_TRUE(outbox_of(result(R"({"ok":true,"response":"text"})")).empty());
    EXPECT_TRUE(outbox_of(result(R"({"ok":true,"response":{"Messages":{"0":{}}}})")).empty()) << "an object is no list";
}

TEST(Outcome, comes_back_from_its_record)
{
    const auto one = result("bytes \xff", units::SlotResult::Kind::error);
    const auto again = from_record(to_record(one));
    EXPECT_EQ(again.slot, one.slot);
    EXPECT_EQ(again.kind, one.kind);
    EXPECT_EQ(again.output, one.output);
    EXPECT_EQ(again.gas, one.gas);
}
