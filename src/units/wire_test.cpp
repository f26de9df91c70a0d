#include "units/wire.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "item/ed25519.hpp"
#include "units/ao_wire.hpp"
#include "units/assignment.hpp"
#include "units/errors.hpp"
#include "units/http_units.hpp"

#include <gtest/gtest.h>

namespace altiplano::units {

namespace {

class AWire : public testing::Test {
protected:
    item::DataItem message(std::string data)
    {
        return item::build({.target = Digest(process),
                               .anchor = std::string(32, '7'),
                               .tags = {{"Type", "Message"}, {"X", "\xc3\xa4"}},
                               .data = to_buffer(data)},
            key)
            .value();
    }
    LogEntry entry(const item::DataItem& of, std::uint64_t nonce = 3)
    {
        auto assignment = sign_assignment({.slot = {process, nonce},
                                              .message = of.id(),
                                              .hash_chain = first_link(process),
                                              .height = 9,
                                              .block_hash = {},
                                              .timestamp_ms = 5,
                                              .semantics = {}},
            key)
                              .value();
        return {.assignment = std::move(assignment), .message = of};
    }
    /// As the schedulers of AO write it (ao-protocol.md 3.5): data as text, whatever it was.
    static void write_item(JsonWriter& json, const item::DataItem& of)
    {
        json.begin_object()
            .member("id", std::string_view(of.id().text()))
            .key("owner")
            .begin_object()
            .member("address", "")
            .member("key", std::string_view(base64url(of.header().owner_key())))
            .end_object()
            .member("data", as_text(of.data()))
            .key("tags")
            .begin_array();
        for (const auto& tag : of.tags())
            json.begin_object()
                .member("name", std::string_view(tag.name))
                .member("value", std::string_view(tag.value))
                .end_object();
        json.end_array()
            .member("signature", std::string_view(base64url(of.header().signature())))
            .member("anchor", std::string_view(base64url(of.anchor())))
            .member("target", of.target() ? std::string_view(of.target()->text()) : std::string_view())
            .end_object();
    }
    static std::string ao_node(const LogEntry& of)
    {
        JsonWriter json;
        json.begin_object().key("message");
        write_item(json, of.message);
        json.key("assignment");
        write_item(json, of.assignment.item);
        json.end_object();
        return std::move(json).text();
    }
    item::Ed25519Signer key = item::Ed25519Signer::generate(system_random());
    ProcessId process = ProcessId(sha256(as_bytes("a process")));
};

}  // namespace

TEST_F(AWire, carries_an_entry_exactly)
{
    const auto sent = entry(message(std::string("\0\xff binary", 9)));
    const auto bytes = wire::encode(sent);
    const auto got = wire::decode_entry(bytes);
    ASSERT_TRUE(got) << got.error().sentence;
    EXPECT_EQ(got->assignment.id, sent.assignment.id);
    EXPECT_EQ(got->assignment.slot, sent.assignment.slot);
    EXPECT_EQ(got->message.wire(), sent.message.wire());
}

TEST_F(AWire, refuses_an_entry_that_was_changed_anywhere)
{
    const auto bytes = wire::encode(entry(message("hello")));
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        auto changed = bytes;
        changed[at] ^= std::byte{1};
        EXPECT_FALSE(wire::decode_entry(changed)) << "byte " << at;
    }
    EXPECT_FALSE(wire::decode_entry(Bytes(bytes).first(bytes.size() - 1)));
    EXPECT_FALSE(wire::decode_entry({}));
}

TEST_F(AWire, refuses_an_entry_whose_parts_do_not_belong_together)
{
    const auto one = entry(message("one"));
    const auto other = message("other");
    const auto got = wire::decode_entry(wire::join({one.assignment.item.wire(), other.wire()}));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, errors::bad_answer);
}

TEST_F(AWire, carries_a_result_exactly)
{
    for (const auto kind : {SlotResult::Kind::result, SlotResult::Kind::error, SlotResult::Kind::guest_fault}) {
        const SlotResult sent{.slot = {process, 7},
            .kind = kind,
            .output = std::string("{\0\xff}", 4),
            .state_root = sha256(as_bytes("r")),
            .gas = 123'456'789'012};
        const auto got = wire::decode_result(wire::encode(sent));
        ASSERT_TRUE(got) << got.error().sentence;
        EXPECT_EQ(got->slot, sent.slot);
        EXPECT_EQ(got->kind, sent.kind);
        EXPECT_EQ(got->output, sent.output);
        EXPECT_EQ(got->state_root, sent.state_root);
        EXPECT_EQ(got->gas, sent.gas);
    }
    EXPECT_FALSE(wire::decode_result(as_bytes("nonsense that is no result")));
    EXPECT_FALSE(wire::decode_result(wire::join({as_bytes("{}"), as_bytes("")})));
}

TEST_F(AWire, carries_semantics)
{
    const Assignment::Semantics sent{.version = 1,
        .module_sha256 = sha256(as_bytes("m")),
        .extensions = {{"WeaveDrive", sha256(as_bytes("e"))}},
        .authority = Address("somebody")};
    const auto got = wire::decode_semantics(wire::encode(sent));
    ASSERT_TRUE(got) << got.error().sentence;
    EXPECT_EQ(got->version, 1);
    EXPECT_EQ(got->module_sha256, sent.module_sha256);
    EXPECT_EQ(got->extensions, sent.extensions);
    ASSERT_TRUE(got->authority);
    EXPECT_EQ(got->authority->text(), "somebody");
    EXPECT_FALSE(wire::decode_semantics("{}"));
    EXPECT_FALSE(wire::decode_semantics("[]"));
}

TEST_F(AWire, of_ao_gives_an_entry_back)
{
    const auto sent = entry(message("text, \xc3\xa4"));
    const auto text = ao_node(sent);
    const auto got = ao::entry_of(
        JsonView::parse(text).value(), [](const ItemId&) -> Result<item::DataItem> { return fail("test.asked", "not needed"); });
    ASSERT_TRUE(got) << got.error().sentence;
    EXPECT_EQ(got->message.wire(), sent.message.wire());
    EXPECT_EQ(got->assignment.item.wire(), sent.assignment.item.wire());
}

TEST_F(AWire, of_ao_damages_binary_data_which_is_then_fetched)
{
    const auto sent = entry(message("\xff\xfe"));
    const auto text = ao_node(sent);
    const auto node = JsonView::parse(text).value();
    const auto got = ao::entry_of(node, [&](const ItemId& id) -> Result<item::DataItem> {
        EXPECT_EQ(id, sent.message.id());
        return sent.message;
    });
    ASSERT_TRUE(got) << got.error().sentence;
    EXPECT_EQ(got->message.wire(), sent.message.wire());
    const auto wrong = ao::entry_of(node, [&](const ItemId&) -> Result<item::DataItem> { return message("another"); });
    EXPECT_EQ(wrong.error().code, errors::bad_answer);
}

TEST_F(AWire, of_ao_gives_results_as_a_guest_wrote_them)
{
    const auto good = ao::result_of({process, 1}, R"({"Messages":[],"Output":{"data":"2"},"GasUsed":0})").value();
    EXPECT_EQ(good.kind, SlotResult::Kind::result);
    EXPECT_EQ(JsonView::parse(good.output)->find("response")->find("Output")->find("data")->string(), "2");
    EXPECT_EQ(ao::result_of({process, 1}, R"({"Error":"no","Messages":[]})")->kind, SlotResult::Kind::error);
    EXPECT_FALSE(ao::result_of({process, 1}, "[]"));
}

namespace {

/// Answers what the test says, and notes what it was asked.
class SaidHttp final : public net::Http {
public:
    Result<net::Response> send(const net::Request& request) override
    {
        asked.push_back(request.method + " " + request.url);
        for (const auto& [part, answer] : answers)
            if (request.url.find(part) != std::string::npos)
                return net::Response{.status = answer.first, .body = answer.second};
        return net::Response{.status = 404, .body = R"({"error":"Not Found"})"};
    }
    Result<net::Response> download(const net::Request& request, const std::function<Result<void>(Bytes)>&) override
    {
        return send(request);
    }
    void stop() override { }
    std::vector<std::pair<std::string, std::pair<unsigned, std::string>>> answers;
    std::vector<std::string> asked;
};

}  // namespace

TEST_F(AWire, errors_of_other_units_keep_their_codes)
{
    SaidHttp http;
    HttpScheduler scheduler(http, "http://su.example/su/", 1000, {});
    http.answers = {{"/~altiplano/unit", {200, R"({"unit":"scheduler","wire":1})"}},
        {"/~altiplano/process/", {404, R"({"error":"there is none","code":"scheduler.unknown_process","hint":"h"})"}}};
    const auto info = scheduler.process(process);
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code, "scheduler.unknown_process");
    EXPECT_EQ(info.error().sentence, "there is none");
    EXPECT_EQ(http.asked.front(), "GET http://su.example/su/~altiplano/unit");
    // A code that looks like none is not kept.
    http.answers.back().second = {500, R"({"error":"x","code":"NOT A CODE; DROP"})"};
    EXPECT_EQ(scheduler.process(process).error().code, errors::refused);
}

TEST_F(AWire, of_ao_is_spoken_where_ours_is_not_known)
{
    SaidHttp http;
    const auto sent = entry(message("hi"));
    HttpScheduler scheduler(http, "http://su.example", 1000, {});
    http.answers = {{"from-nonce=2&to-nonce=3", {200, R"({"page_info":{},"edges":[{"node":)" + ao_node(sent) + "}]}"}},
        {"/" + process.text() + "?", {400, R"({"error":"Message or Process not found"})"}}};
    const auto got = scheduler.entry({process, 3});
    ASSERT_TRUE(got) << got.error().sentence;
    EXPECT_EQ(got->message.id(), sent.message.id());
    // An entry of another slot than the one that was asked for is refused.
    http.answers.front().first = "from-nonce=3&to-nonce=4";
    EXPECT_EQ(scheduler.entry({process, 4}).error().code, errors::bad_answer);
    EXPECT_EQ(scheduler.entry({process, 9}).error().code, "scheduler.unknown_message");
}

TEST(AssignQuery, has_what_the_request_says)
{
    const ProcessId process(sha256(as_bytes("p")));
    const ItemId message(sha256(as_bytes("m")));
    EXPECT_EQ(query_of({.process = process, .message = message, .base_layer = true, .exclude = {"Data", "A b"}}),
        "?process-id=" + process.text() + "&assign=" + message.text() + "&base-layer=true&exclude=Data,A%20b");
}

}  // namespace altiplano::units
