#include "units/assignment.hpp"

#include "base/hash.hpp"
#include "item/ed25519.hpp"
#include "units/errors.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::units;

namespace {

const item::Ed25519Signer signer(std::array<std::byte, 32>{std::byte{7}});

AssignmentFields fields(std::uint64_t nonce)
{
    AssignmentFields given;
    given.slot = {ProcessId(sha256(as_bytes("process"))), nonce};
    given.message = ItemId(sha256(as_bytes("message")));
    given.hash_chain = first_link(given.slot.process);
    given.height = 77;
    given.block_hash = BlockHash(sha256(as_bytes("block")));
    given.timestamp_ms = 1'700'000'000'123;
    if (nonce == 0)
        given.message = ItemId(given.slot.process);
    if (nonce == 0)
        given.semantics = Assignment::Semantics{3, sha256(as_bytes("module")), {{"drive", sha256(as_bytes("specification"))}}};
    return given;
}

}  // namespace

TEST(Assignment, says_what_was_decided)
{
    for (const std::uint64_t nonce : {0U, 12U}) {
        const auto given = fields(nonce);
        const auto made = sign_assignment(given, signer).value();
        EXPECT_TRUE(made.item.verify());
        const auto read = read_assignment(item::DataItem::parse(made.item.wire()).value()).value();
        EXPECT_EQ(read.slot, given.slot);
        EXPECT_EQ(read.message, given.message);
        EXPECT_EQ(read.hash_chain, given.hash_chain);
        EXPECT_EQ(read.height, 77U);
        EXPECT_EQ(read.block_hash, given.block_hash);
        EXPECT_EQ(read.timestamp_ms, given.timestamp_ms);
        ASSERT_EQ(read.semantics.has_value(), nonce == 0);
        if (read.semantics) {
            EXPECT_EQ(read.semantics->version, 3U);
            EXPECT_EQ(read.semantics->extensions, given.semantics->extensions);
        }
    }
}

TEST(Assignment, of_slot_0_says_whom_the_process_trusts_besides_and_which_module_an_alias_led_to)
{
    auto given = fields(0);
    EXPECT_EQ(sign_assignment(given, signer).value().semantics->authority, std::nullopt);
    EXPECT_EQ(sign_assignment(given, signer).value().semantics->module, std::nullopt);
    given.semantics->authority = Address(std::string(43, 'a'));
    given.semantics->module = ModuleId::parse(std::string(42, 'b') + "A").value();
    const auto read = sign_assignment(given, signer).value();
    EXPECT_EQ(read.semantics->authority, given.semantics->authority);
    EXPECT_EQ(read.semantics->module, given.semantics->module);
}

TEST(Assignment, has_the_tags_of_the_protocol_in_their_order)
{
    const auto made = sign_assignment(fields(5), signer).value();
    std::vector<std::string> names;
    for (const auto& tag : made.item.tags())
        names.push_back(tag.name);
    EXPECT_EQ(names,
        (std::vector<std::string>{"Process", "Epoch", "Nonce", "Hash-Chain", "Block-Height", "Timestamp", "Data-Protocol", "Type",
            "Variant", "Message", "Block-Hash"}))
        << "ours come last";
    EXPECT_EQ(made.item.tags().first("Block-Height"), "000000000077");
}

TEST(Assignment, is_the_same_item_for_the_same_decision)
{
    EXPECT_EQ(sign_assignment(fields(1), signer).value().id, sign_assignment(fields(1), signer).value().id);
    EXPECT_NE(sign_assignment(fields(1), signer).value().id, sign_assignment(fields(2), signer).value().id);
}

TEST(Assignment, is_refused_when_any_tag_is_missing_or_wrong)
{
    // Slot 0 alone records semantics and has no Message: it is the process item's own.
    for (const auto* name :
        {"Process", "Nonce", "Message", "Hash-Chain", "Block-Height", "Block-Hash", "Timestamp", "Type", "Module-SHA-256"}) {
        const auto whole = sign_assignment(fields(std::string_view(name) == "Message" ? 5 : 0), signer).value();
        for (const auto* value : {"", "no"}) {
            // Other schedulers write no Block-Hash, and no Message for the process item itself.
            const bool optional = std::string_view(name) == "Message" || std::string_view(name) == "Block-Hash";
            if (optional && !*value)
                continue;
            item::Tags tags;
            for (const auto& tag : whole.item.tags())
                if (tag.name != name)
                    tags.add(tag.name, tag.value);
                else if (*value)
                    tags.add(tag.name, value);
            const auto item = item::build({.tags = tags}, signer).value();
            EXPECT_EQ(read_assignment(item).error().code, errors::bad_assignment) << name;
        }
    }
}

TEST(Assignment, of_other_schedulers_may_leave_out_what_they_do_not_write)
{
    const auto whole = sign_assignment(fields(0), signer).value();
    item::Tags tags;
    for (const auto& tag : whole.item.tags())
        if (tag.name != "Message" && tag.name != "Block-Hash")
            tags.add(tag.name, tag.value);
    const auto read = read_assignment(item::build({.tags = tags}, signer).value());
    ASSERT_TRUE(read) << read.error().sentence;
    EXPECT_EQ(read->message, ItemId(read->slot.process));
    EXPECT_EQ(read->block_hash, BlockHash{});
}
