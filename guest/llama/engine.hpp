// One model, one context, one text at a time: libllama as a process uses it. Knows nothing of Lua.
#pragma once

#include "sampler.hpp"

#include <llama.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace altiplano::guest {

/// What a generation ended with. `length`: the context is full.
enum class Stop { none, end, length };

struct LoadOptions {
    std::uint32_t context_tokens = 2048;  ///< capped by what the model was trained with
    std::uint32_t batch_tokens = 256;  ///< prompts are decoded in pieces of so many tokens
    bool words_only = false;  ///< the tokenizer without the weights, which need not be in the file
    bool compat = false;  ///< positions of tokens as AO's own llama numbers them, and greedy (ao-protocol.md 7.3)
};

class Grammar;
using Tokens = std::vector<llama_token>;

/// Calls answer false on failure, with the reason in error(): "llama.CODE: a sentence". After a failure the engine can be
/// used again: a failed load leaves nothing loaded, a failed prompt leaves an empty context.
///
/// Model and context live on in linear memory between messages. No file stays open: weights are mapped, or were read.
class Engine {
public:
    Engine();
    ~Engine();

    /// @param paths  one, or the parts of a split model in their order
    bool load(const std::vector<std::string>& paths, const LoadOptions& options);
    void unload();
    bool compat() const { return options_.compat; }

    void set_sampling(const SamplingOptions& options) { sampler_.set(options); }
    const SamplingOptions& sampling() const { return sampler_.options(); }
    /// Only texts of this grammar (GBNF) are generated from now on; an empty one ends it. It begins anew with every start().
    bool set_grammar(const std::string& gbnf);

    /// @param beginning  with the tokens that the model wants around a text
    /// @param special    texts of special tokens become these tokens
    bool tokenize(const std::string& text, bool beginning, bool special, Tokens& tokens);
    std::string text_of(llama_token token, bool special) const;
    /// The conversation in the form that the model was trained on, up to where its answer begins. `request` is a JSON
    /// object {messages: [{role, content}...], ...}; what else it has are variables of the template.
    bool apply_template(const std::string& request, std::string& prompt, bool& begins);

    /// The context becomes these tokens. What it holds of them already is not computed again.
    bool start(const Tokens& tokens);
    /// More tokens behind what was read and generated so far.
    bool feed(const Tokens& tokens);
    /// Generates one token and leaves its text in piece(): whole UTF-8 characters, so possibly empty.
    /// At the end stop() says why, and piece() may hold a last rest.
    bool next();
    const std::string& piece() const { return piece_; }
    llama_token token() const { return pending_; }
    Stop stop() const { return stop_; }

    /// The logits for what comes next, of every token of the vocabulary. Borrowed until the next call.
    bool logits(std::span<const float>& logits);
    /// Those that the last token of next() was chosen from.
    std::span<const float> last_logits() const;
    /// One vector of length 1 for a text: as the model pools it, or the mean of its tokens.
    bool embed(const Tokens& tokens, std::vector<float>& embedding);

    /// What the context holds, as bytes that restore() takes with the same model loaded.
    bool save(std::string& state);
    bool restore(std::string_view state);

    /// What was generated since this was asked last: the tokens chosen, -1 between texts, and a fingerprint of the bits of all
    /// logits that they were chosen from. Empty tokens: nothing was. Who has them can have the answer checked at the speed of
    /// reading.
    struct Trail {
        Tokens tokens;
        std::uint64_t fingerprint[4] = {};
        void add(llama_token token, std::span<const float> logits);
        void part();  ///< what follows is another text
    };
    Trail take_trail();

    const Tokens& held() const { return held_tokens_; }
    std::uint32_t context_tokens() const;
    const llama_model* model() const { return model_; }
    const std::string& error() const { return error_; }
    /// What llama.cpp wrote since this was asked last: warnings and errors.
    std::string take_log();

private:
    struct Placed {
        llama_token token;
        llama_pos position;
    };
    bool fail(std::string sentence);
    /// With a model only; what ggml or llama.cpp throw becomes an error.
    template <class Body> bool guarded(Body body) { return ready() && caught(body); }
    template <class Body> bool caught(Body body)
    {
        try {
            clear_log();
            return body();
        } catch (const std::exception& thrown) {
            return fail(std::string{"llama.failed: "} + thrown.what());
        }
    }
    static void clear_log();
    bool ready();
    bool has_words();
    bool fits(std::size_t more);
    bool decode(std::span<const llama_token> tokens, llama_pos position, bool gaps);
    bool add_as_ao_does(const Tokens& tokens);
    bool settle();
    void read_draft();
    bool decode_ahead(llama_token token);
    void drop_ahead();
    void keep(std::size_t tokens);
    void forget();
    void free_all();
    std::string identity() const;

    llama_model* model_ = nullptr;
    llama_context* context_ = nullptr;
    LoadOptions options_;
    Sampler sampler_;
    std::unique_ptr<Grammar> grammar_;
    Tokens held_tokens_;  ///< what the context holds, in the order of its cells
    llama_pos position_ = 0;  ///< of the next token; differs from the number of its cell with `compat` only
    std::vector<Placed> last_batch_;  ///< with `compat`: what AO's llama decodes again when it adds
    llama_token pending_ = LLAMA_TOKEN_NULL;  ///< sampled, not decoded yet: the last one of an answer never needs to be
    bool has_logits_ = false;
    std::vector<float> restored_logits_;  ///< those of a restored context, until something is decoded
    Stop stop_ = Stop::none;
    std::string piece_, unfinished_, error_;
    Trail trail_;
    bool draft_read_ = false;  ///< in this message
    bool checking_ = false;  ///< an answer that somebody claims is being checked
    std::uint32_t rows_ = 1;  ///< of logits that the context can give at once
    Tokens draft_;  ///< what the trail of this message is claimed to be
    Tokens ahead_;  ///< claimed tokens that the context holds behind held_tokens_, with a row of logits for each and for the one
                    ///< before
    std::size_t ahead_used_ = 0;
    std::int32_t row_ = -1;  ///< of the last batch's logits: those for what comes next
};

}  // namespace altiplano::guest
