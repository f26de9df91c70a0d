#include "door/answer.hpp"

#include "door/errors.hpp"

#include <fmt/format.h>

namespace altiplano::door {

namespace {

void begin(JsonWriter& json, const Wish& wish, const Job& job, bool chunk)
{
    const std::string_view kind = !wish.chat ? "text_completion" : chunk ? "chat.completion.chunk" : "chat.completion";
    json.begin_object().member("id", std::string_view((wish.chat ? "chatcmpl-" : "cmpl-") + job.message.text()));
    json.member("object", kind).member("created", job.taken_ms / 1000).member("model", std::string_view(wish.model));
    // What clients compare to learn whether the same seed gives the same answer: what computes it.
    json.member("system_fingerprint", std::string_view(job.module));
}

void write_usage(JsonWriter& json, const Told& told)
{
    json.key("usage")
        .begin_object()
        .member("prompt_tokens", told.prompt_tokens)
        .member("completion_tokens", told.completion_tokens);
    json.member("total_tokens", told.prompt_tokens + told.completion_tokens).end_object();
}

/// By which process, slot and state root: `altiplano receipt` makes a proof of it.
void write_place(JsonWriter& json, const Job& job, const units::SlotResult* result)
{
    json.key("altiplano").begin_object().member("process", std::string_view(job.slot.process.text()));
    json.member("slot", job.slot.nonce).member("message", std::string_view(job.message.text()));
    json.member("model", std::string_view(job.model)).member("module", std::string_view(job.module));
    if (result)
        json.member("state_root", std::string_view(result->state_root.text())).member("gas", result->gas);
    json.end_object();
}

/// The only choice. @param content  writes what it holds @param finish  empty: it goes on
template <class Content> void write_choice(JsonWriter& json, std::string_view finish, const Content& content)
{
    json.key("choices").begin_array().begin_object().member("index", std::int64_t{0});
    content();
    json.key("logprobs").null().key("finish_reason");
    if (finish.empty())
        json.null();
    else
        json.string(finish);
    json.end_object().end_array();
}

std::string chunk(const Wish& wish, const Job& job, std::string_view text, std::string_view finish, bool speaks,
    const units::SlotResult* result)
{
    JsonWriter json;
    begin(json, wish, job, true);
    write_choice(json, finish, [&] {
        if (!wish.chat) {
            json.member("text", text);
            return;
        }
        json.key("delta").begin_object();
        if (speaks)
            json.member("role", "assistant");
        if (speaks || finish.empty())
            json.member("content", text);
        json.end_object();
    });
    if (wish.usage)
        json.key("usage").null();
    if (speaks || result)
        write_place(json, job, result);
    json.end_object();
    return std::move(json).text();
}

}  // namespace

Result<Told> told(const units::SlotResult& result)
{
    const auto failed = [](const std::string& why) {
        if (why.find("llama.prompt_too_long") != why.npos)
            return fail(errors::prompt_too_long, why, "send fewer or shorter messages");
        if (why.find("llama.schema_invalid") != why.npos)
            return fail(errors::bad_request, "'response_format' has a schema that cannot be followed: " + why);
        return fail(errors::worker_failed, "the worker answered with an error: " + why);
    };
    if (result.kind == units::SlotResult::Kind::guest_fault)
        return failed(result.output);
    const auto answer = JsonView::parse(result.output);
    const auto response = answer ? answer->find("response") : std::nullopt;
    if (!response)
        return failed("its result is not as processes give it");
    if (const auto error = response->find("Error"); error && !error->is_null())
        return failed(error->text().value_or(std::string(error->raw())));
    const auto output = response->find("Output");
    const auto member = [&](std::string_view name) { return output ? output->find(name) : std::nullopt; };
    const auto count = [&](std::string_view name) { return member(name) ? member(name)->integer() : std::nullopt; };
    if (!member("data") || !member("data")->string() || !count("prompt_tokens") || !count("completion_tokens")
        || !member("finish"))
        return failed("its result says nothing of a completion");
    return Told{.text = *member("data")->string(),
        .prompt_tokens = *count("prompt_tokens"),
        .completion_tokens = *count("completion_tokens"),
        .finish = member("finish")->string().value_or("stop")};
}

std::string whole_answer(const Wish& wish, const Job& job, const Told& told, const units::SlotResult& result)
{
    JsonWriter json;
    begin(json, wish, job, false);
    write_choice(json, told.finish, [&] {
        if (wish.chat) {
            json.key("message").begin_object().member("role", "assistant").member("content", std::string_view(told.text));
            json.key("refusal").null().end_object();
        } else {
            json.member("text", std::string_view(told.text));
        }
    });
    write_usage(json, told);
    write_place(json, job, &result);
    json.end_object();
    return std::move(json).text();
}

std::string first_chunk(const Wish& wish, const Job& job)
{
    return chunk(wish, job, "", "", true, nullptr);
}

std::string text_chunk(const Wish& wish, const Job& job, std::string_view text)
{
    return chunk(wish, job, text, "", false, nullptr);
}

std::string last_chunk(const Wish& wish, const Job& job, const Told& told, const units::SlotResult& result)
{
    return chunk(wish, job, "", told.finish, false, &result);
}

std::string usage_chunk(const Wish& wish, const Job& job, const Told& told)
{
    JsonWriter json;
    begin(json, wish, job, true);
    json.key("choices").begin_array().end_array();
    write_usage(json, told);
    json.end_object();
    return std::move(json).text();
}

std::string error_body(const Error& error, unsigned status)
{
    // What OpenAI's clients make their exceptions of is the status; programs look at these two.
    const std::string_view type = status == 401 ? "authentication_error"
        : status == 403                         ? "permission_error"
        : status == 429                         ? "rate_limit_error"
        : status < 500                          ? "invalid_request_error"
                                                : "server_error";
    const std::string_view code = error.code == errors::unknown_model ? "model_not_found"
        : error.code == errors::prompt_too_long                       ? "context_length_exceeded"
        : status == 401                                               ? "invalid_api_key"
                                                                      : error.code;
    const auto quote = error.sentence.find('\'');
    const bool names_parameter = error.code == errors::bad_request || error.code == errors::not_offered;
    JsonWriter json;
    json.begin_object().key("error").begin_object();
    json.member("message", std::string_view(error.hint.empty() ? error.sentence : error.sentence + " (" + error.hint + ")"));
    json.member("type", type).key("param");
    if (names_parameter && quote == 0)
        json.string(std::string_view(error.sentence).substr(1, error.sentence.find('\'', 1) - 1));
    else
        json.null();
    json.member("code", code).end_object().end_object();
    return std::move(json).text();
}

}  // namespace altiplano::door
