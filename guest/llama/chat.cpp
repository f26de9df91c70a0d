#include "engine.hpp"

#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <json-schema.h>  // and the json.h beside it: guest/process has one of that name

#include <optional>
#include <stdexcept>

namespace altiplano::guest {
namespace {

std::string special_text(const llama_vocab* vocab, llama_token token)
{
    const char* text = token == LLAMA_TOKEN_NULL ? nullptr : llama_vocab_get_text(vocab, token);
    return text ? text : "";
}

// llama.cpp knows templates by their shape and writes them itself: a system text that a template holds for conversations without
// one is left out. SmolLM2 answers as well without its own, in half the time.
std::optional<std::string> by_shape(const char* source, const common_json& request)
{
    if (request.size() > 1)
        return std::nullopt;  // variables are for the template
    std::vector<std::string> texts;
    for (const auto& message : request.at("messages"))
        for (const char* field : {"role", "content"}) {
            if (!message.contains(field) || !message.at(field).is_string())
                return std::nullopt;
            texts.push_back(message.at(field).get<std::string>());
        }
    std::vector<llama_chat_message> views;
    std::size_t bytes = 256;
    for (std::size_t i = 0; i < texts.size(); i += 2) {
        views.push_back({texts[i].c_str(), texts[i + 1].c_str()});
        bytes += 2 * (texts[i].size() + texts[i + 1].size()) + 64;
    }
    std::string prompt(bytes, '\0');
    for (;;) {
        const auto length = llama_chat_apply_template(
            source, views.data(), views.size(), true, prompt.data(), static_cast<std::int32_t>(prompt.size()));
        if (length < 0)
            return std::nullopt;
        const bool fits = static_cast<std::size_t>(length) <= prompt.size();
        prompt.resize(static_cast<std::size_t>(length));
        if (fits)
            return prompt;
    }
}

std::string by_running(const char* source, common_json request, const llama_vocab* vocab)
{
    request["bos_token"] = special_text(vocab, llama_vocab_bos(vocab));
    request["eos_token"] = special_text(vocab, llama_vocab_eos(vocab));
    request["add_generation_prompt"] = true;

    jinja::lexer lexer;
    const auto tokens = lexer.tokenize(source);
    const auto program = jinja::parse_from_tokens(tokens);
    jinja::context context(tokens.source);
    jinja::global_from_json(context, request, false);
    jinja::runtime runtime(context);
    const auto parts = jinja::runtime::gather_string_parts(runtime.execute(program));
    return parts->as_string().str();
}

}  // namespace

bool Engine::apply_template(const std::string& text, std::string& prompt, bool& begins)
{
    if (!ready())
        return false;
    const char* source = llama_model_chat_template(model_, nullptr);
    if (!source)
        return fail("llama.no_chat_template: the model has no chat template; use llama.setPrompt and llama.next");
    const auto* vocab = llama_model_get_vocab(model_);
    try {
        const auto request = common_json::parse(text);
        auto written = by_shape(source, request);
        prompt = written ? std::move(*written) : by_running(source, request, vocab);
    } catch (const std::exception& thrown) {
        return fail(std::string{"llama.chat_template_failed: the model's chat template cannot be run: "} + thrown.what()
            + "; use llama.setPrompt and llama.next");
    }
    // Some templates write the token for the beginning themselves; it must not be there twice.
    const auto bos = special_text(vocab, llama_vocab_bos(vocab));
    begins = !bos.empty() && prompt.starts_with(bos);
    return true;
}

}  // namespace altiplano::guest
