#include "messenger/outgoing.hpp"

#include "base/hash.hpp"
#include "item/ed25519.hpp"
#include "messenger/errors.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace altiplano;
using namespace altiplano::messenger;
using Kind = store::OutboxRecord::Kind;

namespace {

const std::string target = Digest(sha256(as_bytes("target"))).text();

Source source(std::uint64_t index = 0)
{
    return {.slot = {ProcessId(sha256(as_bytes("sender"))), 7},
        .index = index,
        .module = ModuleId(sha256(as_bytes("module"))),
        .scheduler = "the scheduler",
        .pushed_for = "the beginning"};
}
Result<item::Fields> message(std::string json, std::uint64_t index = 0)
{
    return outgoing_fields({index, Kind::message, std::move(json)}, source(index));
}
Result<item::Fields> spawn(std::string json)
{
    return outgoing_fields({0, Kind::spawn, std::move(json)}, source());
}
std::vector<std::string> names(const item::Tags& tags)
{
    std::vector<std::string> all;
    for (const auto& tag : tags)
        all.push_back(tag.name);
    return all;
}

}  // namespace

TEST(OutgoingMessage, has_the_process_s_tags_then_ours)
{
    const auto fields = message(R"({"Target":")" + target
        + R"(","Data":"hello","Tags":[{"name":"Variant","value":"ao.TN.1"},{"name":"Reference","value":"3"},)"
          R"({"name":"Action","value":"Ping"}]})")
                            .value();
    EXPECT_EQ(names(fields.tags),
        (std::vector<std::string>{
            "Variant", "Reference", "Action", "Data-Protocol", "Type", "From-Process", "From-Module", "Pushed-For"}));
    EXPECT_EQ(fields.tags.first("From-Process"), source().slot.process.text());
    EXPECT_EQ(fields.tags.first("From-Module"), source().module.text());
    EXPECT_EQ(fields.tags.first("Pushed-For"), "the beginning");
    EXPECT_EQ(fields.target->text(), target);
    EXPECT_EQ(as_text(fields.data), "hello");
}

TEST(OutgoingMessage, cannot_speak_for_another_process)
{
    const auto fields = message(R"({"Target":")" + target
        + R"(","Tags":[{"name":"From-Process","value":"forged"},{"name":"From-Module","value":"forged"},)"
          R"({"name":"Pushed-For","value":"forged"},{"name":"Type","value":"Process"},{"name":"Data-Protocol","value":"other"},{"name":"Assignments","value":"x"}]})")
                            .value();
    for (const auto& tag : fields.tags) {
        EXPECT_NE(tag.value, "forged");
        EXPECT_NE(tag.name, "Assignments");
    }
    EXPECT_EQ(fields.tags.all("Type"), std::vector<std::string_view>{"Message"});
    EXPECT_EQ(fields.tags.all("Data-Protocol"), std::vector<std::string_view>{"ao"});
}

TEST(OutgoingMessage, takes_numbers_as_written_and_sends_a_space_for_nothing)
{
    const auto fields = message(R"({"Target":")" + target + R"(","Tags":[{"name":"Count","value":12.50}]})").value();
    EXPECT_EQ(fields.tags.first("Count"), "12.50");
    EXPECT_EQ(as_text(fields.data), " ");
}

TEST(OutgoingMessage, keeps_a_whole_anchor_and_makes_one_from_its_place_otherwise)
{
    const std::string anchor(32, '7');
    EXPECT_EQ(message(R"({"Target":")" + target + R"(","Anchor":")" + anchor + R"("})").value().anchor, anchor);
    const auto plain = R"({"Target":")" + target + R"(","Anchor":"short"})";
    EXPECT_EQ(message(plain).value().anchor.size(), 32U);
    EXPECT_EQ(message(plain).value().anchor, message(plain).value().anchor);
    EXPECT_NE(message(plain, 0).value().anchor, message(plain, 1).value().anchor) << "two equal messages of a slot are two items";
}

TEST(OutgoingMessage, that_cannot_be_an_item_says_why)
{
    for (const auto* json : {"", "7", "[]", "{", "{}", R"({"Target":5})", R"({"Target":"short"})", R"({"Target":""})"})
        EXPECT_EQ(message(json).error().code, messenger::errors::bad_outgoing) << json;
    for (const auto* tags : {R"([{"name":"a"}])", R"([{"value":"a"}])", R"([{"name":"a","value":{}}])", R"(["a"])"})
        EXPECT_EQ(message(R"({"Target":")" + target + R"(","Tags":)" + tags + "}").error().code, messenger::errors::bad_outgoing)
            << tags;
    EXPECT_EQ(outgoing_fields({0, Kind::assignment, "{}"}, source()).error().code, messenger::errors::bad_outgoing);
    const auto requests = assign_requests(
        {0, Kind::assignment,
            fmt::format(R"({{"Processes":["{0}"],"Message":"{0}","Exclude":["Data"],"BaseLayer":true}})", std::string(43, 'A'))},
        source())
                              .value();
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_EQ(requests[0].message, ItemId{});
    EXPECT_TRUE(requests[0].base_layer);
    EXPECT_EQ(requests[0].exclude, std::vector<std::string>{"Data"});
    for (const auto* wrong : {"", "[]", "{}", R"({"Processes":[],"Message":"x"})",
             R"({"Processes":["x"],"Message":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})"})
        EXPECT_EQ(assign_requests({0, Kind::assignment, wrong}, source()).error().code, messenger::errors::bad_outgoing) << wrong;
}

TEST(OutgoingSpawn, gets_the_parent_s_scheduler_unless_it_names_one)
{
    const auto fields =
        spawn(R"({"Data":"boot","Tags":[{"name":"Module","value":"m"},{"name":"Name","value":"child"}]})").value();
    EXPECT_EQ(names(fields.tags),
        (std::vector<std::string>{
            "Module", "Name", "Variant", "Data-Protocol", "Type", "From-Process", "Pushed-For", "From-Module", "Scheduler"}));
    EXPECT_EQ(fields.tags.first("Scheduler"), "the scheduler");
    EXPECT_FALSE(fields.target);
    const auto own =
        spawn(R"({"Tags":[{"name":"Module","value":"m"},{"name":"Scheduler","value":"own"},{"name":"Variant","value":"v"}]})")
            .value();
    EXPECT_EQ(own.tags.all("Scheduler"), std::vector<std::string_view>{"own"});
    EXPECT_EQ(own.tags.all("Variant"), (std::vector<std::string_view>{"v", "ao.TN.1"})) << "twice, as the original has it (4.4)";
    EXPECT_EQ(spawn(R"({"Tags":[]})").error().code, messenger::errors::bad_outgoing);
}

TEST(OutgoingSpawn, keeps_the_places_of_what_aos_writes_and_says_itself_who_the_parent_is)
{
    const auto fields = spawn(R"({"Tags":[{"name":"Data-Protocol","value":"ao"},{"name":"Variant","value":"ao.TN.1"},)"
                              R"({"name":"Type","value":"Process"},{"name":"From-Process","value":"forged"},)"
                              R"({"name":"From-Module","value":"forged"},{"name":"Module","value":"m"},)"
                              R"({"name":"Pushed-For","value":"forged"},{"name":"Reference","value":"1"}]})")
                            .value();
    EXPECT_EQ(names(fields.tags),
        (std::vector<std::string>{"Variant", "From-Process", "From-Module", "Module", "Reference", "Variant", "Data-Protocol",
            "Type", "From-Process", "Pushed-For", "Scheduler"}));
    for (const auto& tag : fields.tags)
        EXPECT_NE(tag.value, "forged") << tag.name;
}

TEST(OutgoingOfCron, names_no_beginning_and_has_anchors_of_its_own)
{
    auto from = source();
    from.pushed_for.clear();
    from.slot.cron = 3;
    const std::string json = R"({"Target":")" + target + R"(","Data":{"a":[1,2]}})";
    const auto fields = outgoing_fields({0, Kind::message, json}, from).value();
    EXPECT_FALSE(fields.tags.first("Pushed-For"));
    EXPECT_NE(fields.anchor, message(json).value().anchor);
    EXPECT_EQ(as_text(fields.data), R"({"a":[1,2]})") << "what is no text goes as it is written";
}

TEST(SpawnedNotice, tells_the_parent_which_process_its_reference_became)
{
    const item::Ed25519Signer authority(std::array<std::byte, 32>{std::byte{1}});
    auto made =
        spawn(R"({"Tags":[{"name":"Module","value":"m"},{"name":"Reference","value":"9"},{"name":"Action","value":"mine"}]})")
            .value();
    const auto item = item::build(std::move(made), authority).value();
    const auto notice = spawned_fields(item, source()).value();
    EXPECT_EQ(notice.target->text(), source().slot.process.text());
    EXPECT_EQ(notice.tags.first("Action"), "Spawned");
    EXPECT_EQ(notice.tags.first("Process"), item.id().text());
    EXPECT_EQ(notice.tags.first("Reference"), "9");
    EXPECT_EQ(notice.tags.first("From-Process"), source().slot.process.text()) << "the parent sees itself as the sender (4.4)";
    EXPECT_EQ(notice.tags.all("Type"), std::vector<std::string_view>{"Message"});
}
