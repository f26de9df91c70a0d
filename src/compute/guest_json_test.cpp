#include "compute/guest_json.hpp"

#include "compute/context.hpp"
#include "item/ed25519.hpp"
#include "units/assignment.hpp"

#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

const item::Ed25519Signer wallet(std::array<std::byte, 32>{std::byte{1}});
const item::Ed25519Signer scheduler_key(std::array<std::byte, 32>{std::byte{2}});

units::LogEntry entry(item::Tags tags, std::string data, std::uint64_t nonce = 3)
{
    units::AssignmentFields fields;
    fields.slot = {ProcessId(sha256(as_bytes("process"))), nonce};
    const auto message = item::build({.target = Digest(fields.slot.process),
                                         .anchor = std::string(32, 'a'),
                                         .tags = std::move(tags),
                                         .data = to_buffer(std::string_view(data))},
        wallet)
                             .value();
    fields.message = message.id();
    fields.hash_chain = units::first_link(fields.slot.process);
    fields.height = 42;
    fields.timestamp_ms = 1'700'000'000'000;
    if (nonce == 0)
        fields.semantics = units::Assignment::Semantics{1, {}, {}};
    return {units::sign_assignment(fields, scheduler_key).value(), message};
}

}  // namespace

// These bytes are what processes compute with: a change of one is another semantics version.
TEST(GuestJson, of_a_message_is_these_bytes)
{
    const auto given = entry({{"Action", "Eval"}, {"Odd", "a\"b\\c\n\x01\xff"}}, "data \x80\xff \"quoted\"");
    EXPECT_EQ(message_json(given),
        R"({"Id":"6rzRULkdLCBONzGcdmP1jLSqQHzduMrQIayyWuFrPC0","Signature":"TamuuXCOAz6oo8vab-vPLMKODRRj2eeMJLDnz1YhT729l-W-dShajnHwkHvZImgGsW9h3fqnDI5vgcfzFA8EDw",)"
        "\"Data\":\"data \x80\xff \\\"quoted\\\"\","
        R"("Owner":"-k2Gw7VRqmzXw3WdBAwDfvLGN58BiA9FPH71N0QG5L4","Target":"Ge1Av2LDmbhJLv2luakYS2jPTZ1KFls4VXudFCAdDAM","Anchor":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",)"
        R"("From":"-k2Gw7VRqmzXw3WdBAwDfvLGN58BiA9FPH71N0QG5L4","Tags":[{"name":"Action","value":"Eval"},{"name":"Odd","value":"a\"b\\c\n\u0001)"
        "\xff\"}],"
        R"("Epoch":0,"Nonce":3,"Timestamp":1700000000000,"Block-Height":42,"Hash-Chain":"TAhHFK9ATij-TOTTenYNdz7nm9QUPz1_174LBVRtL48","Cron":false,"Read-Only":false})");
}

TEST(GuestJson, of_a_cron_evaluation_is_these_bytes)
{
    const auto process = item::build({.tags = {{"Name", "n"}}}, wallet).value().header();
    const auto owner = wallet.address().text();
    const Cron cron{.name = "0-5-minutes", .tags = {{"Action", "Tick"}, {"From", "left out"}}, .every = 300};
    EXPECT_EQ(cron_json({.time_ms = 1'700'000'000'000, .height = 42, .cron = 0}, cron, process),
        R"({"Owner":")" + owner + R"(","Target":")" + process.id().text() + R"(","From":")" + owner
            + R"(","Tags":[{"name":"Action","value":"Tick"}],"Timestamp":1700000000000,"Block-Height":42,"Cron":true})");
}

TEST(GuestJson, of_the_environment_is_these_bytes)
{
    const auto header = item::build({.tags = {{"Name", "n"}, {"From", "kept here"}}}, wallet).value().header();
    const auto owner = wallet.address().text();
    const auto described = "{\"Id\":\"" + header.id().text() + "\",\"Owner\":\"" + owner
        + R"(","Tags":[{"name":"Name","value":"n"},{"name":"From","value":"kept here"}]})";
    EXPECT_EQ(env_json(header, header), "{\"Process\":" + described + ",\"Module\":" + described + "}");
}

TEST(GuestJson, of_the_environment_has_the_authority_that_slot_0_adds_behind_the_others)
{
    const auto process = item::build({.tags = {{"Authority", "theirs"}}}, wallet).value().header();
    const auto env = env_json(process, process, JsonWriter::Text::guest, Address(std::string("ours")));
    const auto parsed = JsonView::parse(env).value();
    EXPECT_EQ(parsed.find("Process")->find("Tags")->raw(),
        R"([{"name":"Authority","value":"theirs"},{"name":"Authority","value":"ours"}])");
    EXPECT_EQ(parsed.find("Module")->find("Tags")->raw(), R"([{"name":"Authority","value":"theirs"}])");
}

TEST(GuestJson, says_who_sent_it_and_who_signed_it)
{
    const auto plain = message_json(entry({}, "x"));
    EXPECT_NE(plain.find("\"From\":\"" + wallet.address().text() + "\""), plain.npos);
    EXPECT_EQ(plain.find("Forwarded-By"), plain.npos);
    const auto forwarded = message_json(entry({{"From-Process", "somebody"}}, "x"));
    EXPECT_NE(forwarded.find("\"From\":\"somebody\",\"Forwarded-By\":\"" + wallet.address().text() + "\""), forwarded.npos);
    EXPECT_NE(forwarded.find("\"Owner\":\"" + wallet.address().text() + "\""), forwarded.npos);
}

TEST(GuestJson, hides_tags_that_would_pass_for_fields)
{
    const auto json = message_json(entry({{"From", "forged"}, {"Owner", "forged"}, {"from", "kept"}}, "x"));
    EXPECT_EQ(json.find("forged"), json.npos);
    EXPECT_NE(json.find(R"({"name":"from","value":"kept"})"), json.npos);
}

TEST(GuestJson, of_the_item_that_spawns_names_the_process_as_its_target)
{
    const auto json = message_json(entry({}, "x", 0));
    EXPECT_NE(json.find("\"Target\":\"" + ProcessId(sha256(as_bytes("process"))).text() + "\""), json.npos);
}

TEST(Work, draws_its_chance_from_process_slot_and_chain_alone)
{
    const Context context{
        .process = {}, .item = entry({}, "x").message.header(), .code = {}, .limits = {}, .env_json = "{}", .semantics = {}};
    const auto one = work_of(entry({}, "x"), context);
    EXPECT_EQ(one.seed, work_of(entry({}, "another message"), context).seed);
    EXPECT_NE(one.seed, work_of(entry({}, "x", 4), context).seed);
    EXPECT_EQ(one.timestamp_ms, 1'700'000'000'000);
    EXPECT_EQ(one.gas_limit, Limits{}.gas);
}
