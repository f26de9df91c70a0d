#include "door/errors.hpp"
#include "door/stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace altiplano::door {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Draws ones.
class Ones final : public Random {
public:
    void fill(std::span<std::byte> bytes) override { std::ranges::fill(bytes, std::byte{1}); }
};

Result<Wish> chat(std::string_view more)
{
    Ones random;
    return read_chat(R"({"model": "m", "messages": [{"role": "user", "content": "hi"}])" + std::string(more) + "}", random);
}

std::string refused(const Result<Wish>& wish)
{
    return wish ? "accepted" : std::string(wish.error().code) + " " + wish.error().sentence;
}

const std::string spoken = R"({"messages":[{"role":"user","content":"hi"}],)";

TEST(Request, becomes_a_job_in_which_everything_that_decides_the_answer_is_written_out)
{
    const auto wish = chat("").value();
    EXPECT_EQ(wish.model, "m");
    EXPECT_FALSE(wish.stream);
    EXPECT_EQ(wish.job, spoken + R"("tokens":1024,"temperature":1,"top_p":1,"seed":16843009})");
    EXPECT_EQ(chat(R"(, "max_tokens": 9, "temperature": 0.5, "seed": -1, "stop": "\n", "user": "u")").value().job,
        spoken + R"("tokens":9,"temperature":0.5,"top_p":1,"seed":2147483647,"stop":["\n"]})");
}

TEST(Request, with_no_chance_left_is_greedy)
{
    EXPECT_THAT(chat(R"(, "temperature": 0, "top_p": 0.3)").value().job, HasSubstr(R"("temperature":0,"top_p":1)"));
    EXPECT_THAT(chat(R"(, "top_p": 0)").value().job, HasSubstr(R"("temperature":0,"top_p":1)"));
}

TEST(Request, takes_a_conversation_with_parts_of_text)
{
    Ones random;
    const auto wish = read_chat(R"({"model": "m", "messages": [{"role": "developer", "content": "be"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]})",
        random);
    EXPECT_THAT(wish.value().job, HasSubstr(R"([{"role":"system","content":"be"},{"role":"user","content":"ab"}])"));
}

TEST(Request, for_a_completion_is_a_raw_text)
{
    Ones random;
    const auto wish = read_completion(R"({"model": "m", "prompt": ["once"], "max_tokens": 3, "stream": true})", random).value();
    EXPECT_FALSE(wish.chat);
    EXPECT_TRUE(wish.stream);
    EXPECT_THAT(wish.job, HasSubstr(R"({"prompt":"once","tokens":3,)"));
    EXPECT_EQ(refused(read_completion(R"({"model": "m", "prompt": ["a", "b"]})", random)).substr(0, 16), "door.not_offered");
}

TEST(Request, for_json_gives_the_worker_a_schema)
{
    EXPECT_THAT(
        chat(R"(, "response_format": {"type": "json_object"})").value().job, HasSubstr(R"("schema":"{\"type\":\"object\"}")"));
    EXPECT_THAT(chat(R"(, "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"b": 1, "a": 2}}})")
                    .value()
                    .job,
        HasSubstr(R"("schema":"{\"b\": 1, \"a\": 2}")"));
}

TEST(Request, is_refused_by_the_name_of_what_is_wrong)
{
    Ones random;
    EXPECT_THAT(refused(read_chat("nonsense", random)), HasSubstr("door.bad_request the body must be a JSON object"));
    EXPECT_THAT(refused(read_chat("[]", random)), HasSubstr("door.bad_request"));
    EXPECT_THAT(refused(read_chat(R"({"messages": []})", random)), HasSubstr("door.bad_request 'model'"));
    EXPECT_THAT(refused(read_chat(R"({"model": "m", "messages": "hi"})", random)), HasSubstr("door.bad_request 'messages'"));
    EXPECT_THAT(refused(read_chat(R"({"model": "m", "messages": [{"role": "king", "content": "x"}]})", random)),
        HasSubstr("door.bad_request 'messages[0].role'"));
    EXPECT_THAT(refused(read_chat("{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}", random)),
        HasSubstr("door.bad_request 'messages[0].content'"));
    for (const std::string_view wrong : {R"("temperature": 2.1)", R"("temperature": "hot")", R"("top_p": -1)",
             R"("max_tokens": 0)", R"("max_tokens": 1.5)", R"("seed": "x")", R"("stop": [""])",
             R"("stop": ["1","2","3","4","5"])", R"("stop": 5)", R"("stream": "yes")", R"("response_format": {"type": "xml"})",
             R"("response_format": {"type": "json_schema"})", R"("presence_penalty": 3)"}) {
        const auto name = std::string(wrong.substr(1, wrong.find('"', 1) - 1));
        EXPECT_THAT(refused(chat(", " + std::string(wrong))), HasSubstr("door.bad_request '" + name + "'")) << wrong;
    }
}

TEST(Request, that_asks_for_what_is_not_there_is_refused_rather_than_half_obeyed)
{
    for (const std::string_view wrong :
        {R"("n": 2)", R"("best_of": 3)", R"("logprobs": true)", R"("tools": [1])", R"("logit_bias": {"1": 1})"}) {
        const auto name = std::string(wrong.substr(1, wrong.find('"', 1) - 1));
        EXPECT_THAT(refused(chat(", " + std::string(wrong))), HasSubstr("door.not_offered '" + name + "'")) << wrong;
    }
    EXPECT_TRUE(chat(R"(, "n": 1, "presence_penalty": 0, "logprobs": false, "tools": [], "stop": null, "logit_bias": {})"));
}

const ProcessId worker = ProcessId::parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA").value_or(ProcessId{});

Job job()
{
    return {.slot = {worker, 7}, .message = {}, .model = "weights", .module = "code", .taken_ms = 5000};
}

units::SlotResult said(const std::string& output, units::SlotResult::Kind kind = units::SlotResult::Kind::result)
{
    return {.slot = {worker, 7}, .kind = kind, .output = output, .state_root = {}, .gas = 12};
}

units::SlotResult answered(const std::string& text)
{
    return said(R"({"ok":true,"response":{"Output":{"data":")" + text
        + R"(","prompt_tokens":3,"completion_tokens":2,"finish":"stop"},"Messages":[]}})");
}

TEST(Answer, is_read_from_what_the_worker_says)
{
    const auto told = door::told(answered("hello")).value();
    EXPECT_EQ(told.text, "hello");
    EXPECT_EQ(told.prompt_tokens, 3);
    EXPECT_EQ(told.finish, "stop");
    EXPECT_EQ(door::told(said(R"({"ok":true,"response":{"Error":"llama.prompt_too_long: 5000 of 4096"}})")).error().code,
        errors::prompt_too_long);
    EXPECT_EQ(door::told(said(R"({"ok":true,"response":{"Error":"boom"}})")).error().code, errors::worker_failed);
    EXPECT_EQ(door::told(said("vm.out_of_gas: x", units::SlotResult::Kind::guest_fault)).error().code, errors::worker_failed);
    EXPECT_EQ(door::told(said(R"({"ok":true,"response":{"Output":{"data":"x"}}})")).error().code, errors::worker_failed);
    EXPECT_EQ(door::told(said("nonsense")).error().code, errors::worker_failed);
}

TEST(Answer, says_where_it_was_computed)
{
    const auto result = answered("hello");
    const auto text = whole_answer({.chat = true, .model = "m", .job = {}}, job(), door::told(result).value(), result);
    EXPECT_THAT(text, HasSubstr(R"("object":"chat.completion","created":5,"model":"m")"));
    EXPECT_THAT(text, HasSubstr(R"("message":{"role":"assistant","content":"hello","refusal":null})"));
    EXPECT_THAT(text, HasSubstr(R"("usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5})"));
    EXPECT_THAT(text, HasSubstr(R"("slot":7,)"));
    EXPECT_THAT(text, HasSubstr(R"("state_root":)"));
}

TEST(Answer, that_is_an_error_has_the_shape_that_clients_read)
{
    EXPECT_EQ(error_body({errors::bad_request, "'stop' must be a text", ""}, 400),
        R"({"error":{"message":"'stop' must be a text","type":"invalid_request_error","param":"stop","code":"door.bad_request"}})");
    EXPECT_THAT(error_body({errors::unknown_model, "there is no model 'x' here", "there are y"}, 404),
        HasSubstr(R"x((there are y)","type":"invalid_request_error","param":null,"code":"model_not_found")x"));
}

class AStream : public testing::Test {
protected:
    void listen()
    {
        stream.listen([this](std::optional<std::string> event) {
            const auto parsed = event ? JsonView::parse(*event) : Result<JsonView>(fail("", ""));
            const auto choices =
                parsed && parsed->find("choices") ? parsed->find("choices")->elements() : std::vector<JsonView>{};
            const auto delta = choices.empty() ? std::nullopt : choices.front().find("delta");
            const auto content = delta ? delta->find("content") : std::nullopt;
            events.push_back(!event      ? "over"
                    : content            ? "'" + content->string().value_or("?") + "'"
                    : *event == "[DONE]" ? "done"
                                         : "other");
        });
    }
    units::ConsolePiece piece(std::uint64_t slot, std::string text) { return {.slot = {worker, slot}, .text = std::move(text)}; }

    Stream stream{Wish{.chat = true, .model = "m", .job = {}}};
    std::vector<std::string> events;
};

TEST_F(AStream, gives_pieces_of_its_own_slot_whenever_they_came)
{
    stream.piece(piece(6, "somebody else's"));
    stream.piece(piece(7, "he"));
    stream.begin(job());
    stream.piece(piece(7, "ll"));
    listen();
    stream.piece(piece(8, "somebody else's"));
    stream.piece(piece(7, "o"));
    stream.end(answered("hello"));
    stream.piece(piece(7, "late"));
    EXPECT_THAT(events, ElementsAre("''", "'he'", "'ll'", "'o'", "other", "done", "over"));
}

TEST_F(AStream, never_cuts_a_character_and_gives_what_was_not_printed_at_the_end)
{
    listen();
    stream.begin(job());
    stream.piece(piece(7, "caf\xc3"));
    stream.piece(piece(7, "\xa9"));
    stream.end(answered("caf\xc3\xa9 au lait"));
    EXPECT_THAT(events, ElementsAre("''", "'caf'", "'\xc3\xa9'", "' au lait'", "other", "done", "over"));
}

TEST_F(AStream, tells_an_error_among_its_events)
{
    listen();
    stream.begin(job());
    stream.end(Result<units::SlotResult>(fail("compute.worker_died", "it died")));
    EXPECT_THAT(events, ElementsAre("''", "other", "done", "over"));
}

TEST_F(AStream, forgets_a_client_that_went_away)
{
    listen();
    stream.begin(job());
    stream.listen(nullptr);
    stream.piece(piece(7, "x"));
    stream.end(answered("x"));
    EXPECT_THAT(events, ElementsAre("''"));
}

}  // namespace
}  // namespace altiplano::door
