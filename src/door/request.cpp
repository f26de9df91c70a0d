#include "door/request.hpp"

#include "base/utf8.hpp"
#include "door/errors.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace altiplano::door {

namespace {

constexpr std::int64_t tokens_max = 1 << 20;
constexpr std::int64_t tokens_otherwise = 1024;
constexpr std::size_t stops_max = 4;
constexpr std::size_t stop_bytes_max = 256;
constexpr std::size_t messages_max = 1000;

std::unexpected<Error> bad(std::string_view parameter, std::string_view must)
{
    return fail(errors::bad_request, fmt::format("'{}' must be {}", parameter, must));
}

/// A member that is there and not null.
std::optional<JsonView> given(const JsonView& body, std::string_view name)
{
    auto found = body.find(name);
    return found && !found->is_null() ? found : std::nullopt;
}

Result<std::optional<double>> number(const JsonView& body, std::string_view name, double least, double most)
{
    const auto found = given(body, name);
    if (!found)
        return std::optional<double>{};
    const auto value = found->number();
    if (!value || !(*value >= least && *value <= most))
        return bad(name, fmt::format("a number from {} to {}", least, most));
    return value;
}

Result<std::optional<std::int64_t>> integer(const JsonView& body, std::string_view name, std::int64_t least, std::int64_t most)
{
    const auto found = given(body, name);
    if (!found)
        return std::optional<std::int64_t>{};
    const auto value = found->integer();
    if (!value || *value < least || *value > most)
        return bad(name, fmt::format("a whole number from {} to {}", least, most));
    return value;
}

Result<bool> flag(const JsonView& body, std::string_view name)
{
    const auto found = given(body, name);
    if (found && found->kind() != JsonView::Kind::boolean)
        return bad(name, "true or false");
    return found && *found->boolean();
}

Result<std::string> text_of(const JsonView& value, std::string_view name)
{
    auto text = value.string();
    if (!text || !is_utf8(*text))
        return bad(name, "a text");
    return *std::move(text);
}

/// Parameters that would change the answer, and what of each is no change. Saying nothing about one that is not obeyed would
/// be a lie; one that changes nothing (user, metadata, store) is passed over.
Result<void> refuse_what_is_not_offered(const JsonView& body)
{
    struct Row {
        std::string_view name;
        bool (*harmless)(const JsonView& value);
    };
    constexpr auto zero = [](const JsonView& value) { return value.number() == 0.0; };
    constexpr auto one = [](const JsonView& value) { return value.number() == 1.0; };
    constexpr auto no = [](const JsonView& value) { return value.boolean() == false; };
    constexpr auto nothing = [](const JsonView& value) {
        return value.raw() == "{}" || value.raw() == "[]" || value.raw() == "\"\"";
    };
    constexpr auto choice = [](const JsonView& value) { return value.string() == "none" || value.string() == "auto"; };
    constexpr auto either = [](const JsonView& value) { return value.boolean() == false || value.number() == 0.0; };
    static constexpr Row rows[] = {{"n", one}, {"best_of", one}, {"logit_bias", nothing}, {"logprobs", either},
        {"top_logprobs", zero}, {"echo", no}, {"suffix", nothing}, {"tools", nothing}, {"functions", nothing},
        {"tool_choice", choice}, {"function_call", choice}, {"audio", nothing}, {"prediction", nothing},
        {"web_search_options", nothing}};
    for (const auto& row : rows)
        if (const auto value = given(body, row.name); value && !row.harmless(*value))
            return fail(errors::not_offered, fmt::format("'{}' is not offered here", row.name), "leave it out");
    return {};
}

/// The content of a message: a text, or parts of text.
Result<std::string> content_of(const JsonView& message, std::string_view where)
{
    const auto content = given(message, "content");
    if (!content)
        return bad(fmt::format("{}.content", where), "a text");
    if (content->kind() != JsonView::Kind::array)
        return text_of(*content, fmt::format("{}.content", where));
    std::string all;
    for (const auto& part : content->elements()) {
        const auto text = part.find("text");
        if (!part.find("type") || part.find("type")->string() != "text" || !text)
            return fail(errors::not_offered, fmt::format("'{}.content' has a part that is no text", where));
        TRY(const auto more, text_of(*text, fmt::format("{}.content", where)));
        all += more;
    }
    return all;
}

Result<void> write_messages(JsonWriter& job, const JsonView& body)
{
    const auto messages = given(body, "messages");
    const auto list = messages ? messages->elements() : std::vector<JsonView>{};
    if (list.empty() || list.size() > messages_max)
        return bad("messages", fmt::format("a list of 1 to {} messages", messages_max));
    job.key("messages").begin_array();
    for (std::size_t i = 0; i < list.size(); ++i) {
        const auto where = fmt::format("messages[{}]", i);
        const auto role = list[i].find("role");
        auto name = role ? role->string().value_or("") : "";
        if (name == "tool" || name == "function")
            return fail(errors::not_offered, fmt::format("'{}.role' is {}: tools are not offered here", where, name));
        if (name == "developer")
            name = "system";
        if (name != "system" && name != "user" && name != "assistant")
            return bad(fmt::format("{}.role", where), "system, developer, user or assistant");
        TRY(const auto content, content_of(list[i], where));
        job.begin_object().member("role", std::string_view(name)).member("content", std::string_view(content)).end_object();
    }
    job.end_array();
    return {};
}

Result<void> write_prompt(JsonWriter& job, const JsonView& body)
{
    auto prompt = given(body, "prompt");
    if (prompt && prompt->kind() == JsonView::Kind::array) {
        const auto several = prompt->elements();
        if (several.size() != 1)
            return fail(errors::not_offered, "'prompt' is a list: one text at a time is offered here");
        prompt = several.front();
    }
    if (!prompt)
        return bad("prompt", "a text");
    TRY(const auto text, text_of(*prompt, "prompt"));
    if (text.empty())
        return bad("prompt", "a text that is not empty");
    job.member("prompt", std::string_view(text));
    return {};
}

Result<void> write_stops(JsonWriter& job, const JsonView& body)
{
    const auto stop = given(body, "stop");
    if (!stop)
        return {};
    const auto list = stop->kind() == JsonView::Kind::array ? stop->elements() : std::vector<JsonView>{*stop};
    const auto must = fmt::format("a text or a list of at most {} texts, each of 1 to {} bytes", stops_max, stop_bytes_max);
    if (list.size() > stops_max)
        return bad("stop", must);
    job.key("stop").begin_array();
    for (const auto& one : list) {
        const auto text = one.string();
        if (!text || text->empty() || text->size() > stop_bytes_max || !is_utf8(*text))
            return bad("stop", must);
        job.string(*text);
    }
    job.end_array();
    return {};
}

/// What the answer must look like: a JSON object, or JSON by a schema. The worker's model can then say nothing else.
Result<void> write_format(JsonWriter& job, const JsonView& body)
{
    const auto format = given(body, "response_format");
    if (!format)
        return {};
    const auto type = format->find("type") ? format->find("type")->string().value_or("") : "";
    if (type == "text")
        return {};
    if (type == "json_object") {
        job.member("schema", R"({"type":"object"})");
        return {};
    }
    const auto named = format->find("json_schema");
    const auto schema = named ? named->find("schema") : std::nullopt;
    if (type != "json_schema" || !schema || schema->kind() != JsonView::Kind::object)
        return bad("response_format", "of type text, json_object, or json_schema with a schema");
    // As text: the order in which it names its members is the order in which the answer has them.
    job.member("schema", schema->raw());
    return {};
}

Result<void> write_chance(JsonWriter& job, const JsonView& body, Random& random)
{
    TRY(const auto temperature, number(body, "temperature", 0, 2));
    TRY(const auto top_p, number(body, "top_p", 0, 1));
    for (const std::string_view penalty : {"frequency_penalty", "presence_penalty"}) {
        TRY(const auto value, number(body, penalty, -2, 2));
        if (value.value_or(0) != 0)
            job.key(penalty).number(*value);
    }
    TRY(const auto wanted, integer(body, "seed", INT64_MIN, INT64_MAX));
    std::uint32_t seed = 0;
    random.fill(std::as_writable_bytes(std::span(&seed, 1)));
    if (wanted)
        seed = static_cast<std::uint32_t>(*wanted);
    // With none of its possibilities left a model would have nothing to say: no nucleus is the likeliest word alone.
    const bool greedy = temperature.value_or(1) == 0 || top_p.value_or(1) == 0;
    job.key("temperature").number(greedy ? 0.0 : temperature.value_or(1));
    job.key("top_p").number(greedy ? 1.0 : top_p.value_or(1));
    job.member("seed", static_cast<std::uint64_t>(seed & 0x7fffffff));
    return {};
}

Result<Wish> read(std::string_view text, Random& random, bool chat)
{
    const auto parsed = JsonView::parse(text);
    if (!parsed || parsed->kind() != JsonView::Kind::object)
        return fail(errors::bad_request, "the body must be a JSON object" + (parsed ? "" : ": " + parsed.error().sentence));
    const auto& body = *parsed;
    TRY_OK(refuse_what_is_not_offered(body));
    Wish wish{.chat = chat, .model = {}, .job = {}};
    const auto model = given(body, "model");
    wish.model = model ? model->string().value_or("") : "";
    if (wish.model.empty())
        return bad("model", "the name or the id of a model; /v1/models lists them");

    JsonWriter job;
    job.begin_object();
    if (chat)
        TRY_OK(write_messages(job, body));
    else
        TRY_OK(write_prompt(job, body));
    TRY(const auto older, integer(body, "max_tokens", 1, tokens_max));
    TRY(const auto newer, integer(body, "max_completion_tokens", 1, tokens_max));
    job.member("tokens", newer.value_or(older.value_or(tokens_otherwise)));
    TRY_OK(write_chance(job, body, random));
    TRY_OK(write_stops(job, body));
    TRY_OK(write_format(job, body));
    job.end_object();
    wish.job = std::move(job).text();

    TRY(wish.stream, flag(body, "stream"));
    if (const auto options = given(body, "stream_options")) {
        TRY(wish.usage, flag(*options, "include_usage"));
    }
    return wish;
}

}  // namespace

Result<Wish> read_chat(std::string_view body, Random& random)
{
    return read(body, random, true);
}

Result<Wish> read_completion(std::string_view body, Random& random)
{
    return read(body, random, false);
}

}  // namespace altiplano::door
