#include "cli/commands.hpp"
#include "cli/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::cli;

TEST(ExitCodes, tell_kinds_of_failure_apart)
{
    for (const auto* code : {"node.verify_differs", "scheduler.broken_log", "weave.broken_item", "weave.broken_block",
             "compute.disagreement", "compute.other_semantics"})
        EXPECT_EQ(exit_of(code), Exit::mismatch) << code;
    for (const auto* code :
        {"scheduler.unknown_process", "scheduler.unknown_slot", "weave.unknown_item", "base.file_missing", "node.no_folder"})
        EXPECT_EQ(exit_of(code), Exit::not_found) << code;
    for (const auto* code : {"item.bad_signature", "module.not_wasm", "scheduler.missing_tag", "compute.unknown_format",
             "compute.bad_limit", "node.folder_in_use"})
        EXPECT_EQ(exit_of(code), Exit::refused) << code;
    for (const auto* code : {"cli.bad_argument", "base.bad_id"})
        EXPECT_EQ(exit_of(code), Exit::usage) << code;
    for (const auto* code : {"cli.no_node", "store.disk_full", "vm.host_memory", "cli.process_failed"})
        EXPECT_EQ(exit_of(code), Exit::failure) << code;
}

TEST(Tag, is_a_name_and_everything_behind_the_first_equals_sign)
{
    EXPECT_EQ(parse_tag("Name=a=b").value(), (item::Tag{"Name", "a=b"}));
    EXPECT_EQ(parse_tag("Name=").value(), (item::Tag{"Name", ""}));
    EXPECT_EQ(parse_tag("Name").error().code, cli::errors::bad_argument);
    EXPECT_EQ(parse_tag("=x").error().code, cli::errors::bad_argument);
}

TEST(Printable, text_of_a_guest_cannot_move_the_cursor)
{
    EXPECT_EQ(printable("plain\n\tGröße 🦙"), "plain\n\tGröße 🦙");
    EXPECT_EQ(printable("\x1b[2J\x1b]0;title\x07 red\r\x7f"), "[2J]0;title red");
}

TEST(Said, is_what_the_process_gives_to_read)
{
    const auto words = [](std::string text) {
        const auto said = cli::said(Answer{std::move(text)});
        return std::string(said.failed ? "failed: " : "") + said.text;
    };
    EXPECT_EQ(words(R"({"outcome":"result","result":{"ok":true,"response":{"Output":{"data":"text"}}}})"), "text");
    EXPECT_EQ(words(R"({"outcome":"result","result":{"ok":true,"response":{"Output":{"data":{"output":2}}}}})"), "2");
    EXPECT_EQ(words(R"({"outcome":"result","result":{"ok":true,"response":{"Output":"plain"}}})"), "plain");
    EXPECT_EQ(words(R"({"outcome":"result","result":{"ok":true,"response":{}}})"), "");
    EXPECT_EQ(words(R"({"outcome":"error","result":{"ok":true,"response":{"Error":"no"}}})"), "failed: no");
    EXPECT_EQ(words(R"({"outcome":"error","result":{"ok":false,"response":"trouble"}})"), "failed: trouble");
    EXPECT_EQ(words(R"({"outcome":"guest_fault","text":"trap.depth: deep"})"), "failed: trap.depth: deep");
    EXPECT_EQ(words(R"({"outcome":"error","text":"no JSON"})"), "failed: no JSON");
}
