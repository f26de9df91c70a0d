// One model, one context, one conversation at a time: libllama as a process uses it. Knows nothing of Lua.
#pragma once

#include <llama.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace altiplano::guest {

/// What a generation ended with. `length`: the tokens asked for, or the context, were used up.
enum class Stop { none, end, length };

struct LoadOptions {
    std::uint32_t context_tokens = 2048;  ///< capped by what the model was trained with
    std::uint32_t batch_tokens = 256;     ///< prompts are decoded in pieces of so many tokens
};

/// Temperature 0 is greedy: always the likeliest token. Anything else draws with llama.cpp's own seeded generator.
struct SamplingOptions {
    float temperature = 0;
    std::int32_t top_k = 40;
    float top_p = 0.95F;
    float min_p = 0;
    std::uint32_t seed = 1234;
};

struct ChatMessage {
    std::string role, content;
};

/// Calls answer false on failure, with the reason in error(): "llama.CODE: a sentence". After a failure the engine can be
/// used again: a failed load leaves nothing loaded, a failed prompt leaves an empty context.
///
/// Model and context live on in linear memory between messages. No file stays open: weights are mapped, or were read.
class Engine {
public:
    bool load(const std::string& path, const LoadOptions& options);
    void unload();
    bool loaded() const { return model_ != nullptr; }

    void set_sampling(const SamplingOptions& options);
    const SamplingOptions& sampling() const { return sampling_; }

    /// Forgets what was said and reads `text`, with the model's token for a beginning.
    bool set_prompt(const std::string& text);
    /// Reads more text behind what was read and generated so far.
    bool add(const std::string& text);
    /// The conversation in the form that the model was trained on, up to where its answer begins, as the new prompt.
    bool set_chat(std::vector<ChatMessage> messages);

    /// Generates one token and leaves its text in piece(): whole UTF-8 characters, so possibly empty.
    /// At the end stop() says why, and piece() may hold a last rest.
    bool next();
    const std::string& piece() const { return piece_; }
    Stop stop() const { return stop_; }

    std::uint32_t prompt_tokens() const { return prompt_tokens_; }
    std::uint32_t generated_tokens() const { return generated_tokens_; }
    std::uint32_t context_tokens() const;
    const llama_model* model() const { return model_; }
    const std::string& error() const { return error_; }

private:
    bool fail(std::string sentence);
    bool ready();
    bool start(const std::string& text, bool beginning);
    bool read_text(const std::string& text, bool beginning);
    bool decode(std::span<llama_token> tokens);
    bool tokenize(const std::string& text, bool beginning, std::vector<llama_token>& tokens);
    void forget();
    void free_all();

    llama_model* model_ = nullptr;
    llama_context* context_ = nullptr;
    llama_sampler* sampler_ = nullptr;
    LoadOptions options_;
    SamplingOptions sampling_;
    std::uint32_t used_tokens_ = 0, prompt_tokens_ = 0, generated_tokens_ = 0;
    llama_token pending_ = LLAMA_TOKEN_NULL;  ///< sampled, not decoded yet: the last one of an answer never needs to be
    bool has_logits_ = false;
    Stop stop_ = Stop::none;
    std::string piece_, held_, error_;
};

}  // namespace altiplano::guest
