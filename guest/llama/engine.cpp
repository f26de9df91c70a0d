#include "engine.hpp"

#include "tensor_backend.hpp"

#include <ggml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string_view>

namespace altiplano::guest {
namespace {

constexpr std::size_t log_bytes_max = 2000;

// The last lines that llama.cpp wrote before it gave up: the reason that a caller wants to read.
std::string& log_lines()
{
    static std::string lines;
    return lines;
}

void keep_log(ggml_log_level level, const char* text, void*)
{
    static bool wanted = false;
    if (level != GGML_LOG_LEVEL_CONT) wanted = level >= GGML_LOG_LEVEL_WARN;
    if (!wanted) return;
    auto& lines = log_lines();
    lines += text;
    if (lines.size() > log_bytes_max) lines.erase(0, lines.size() - log_bytes_max);
}

std::string reason()
{
    std::string text;
    for (const char c : log_lines()) {
        if (c != '\n') text += c;
        else text += "; ";
    }
    while (text.ends_with("; ")) text.erase(text.size() - 2);
    return text.empty() ? "llama.cpp gave no reason" : text;
}

// ggml calls abort() where it did not expect a file like this one. A trap would tell the sender nothing; an exception
// becomes an error with ggml's own words.
[[noreturn]] void throw_instead_of_abort(const char* message)
{
    throw std::runtime_error(message);
}

void start_backend()
{
    static const bool started = [] {
        llama_log_set(keep_log, nullptr);
        ggml_set_abort_callback(throw_instead_of_abort);
        llama_backend_init();
        register_tensor_device();
        return true;
    }();
    (void)started;
}

// How many bytes at the end begin a UTF-8 character that is not complete yet.
std::size_t incomplete_tail(std::string_view text)
{
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); back++) {
        const auto c = static_cast<unsigned char>(text[text.size() - back]);
        if ((c & 0xC0) == 0x80) continue;
        const std::size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        return length > back ? back : 0;
    }
    return 0;
}

// Why a file cannot be opened, in words of the weave; empty when it can.
std::string why_missing(const std::string& path)
{
    if (auto* file = std::fopen(path.c_str(), "rb")) {
        std::fclose(file);
        return {};
    }
    if (errno == ENOENT) return "the node has no such item";
    if (errno == EACCES) return "this process may not read the item, or not yet at this height";
    return "it cannot be opened (errno " + std::to_string(errno) + ")";
}

}  // namespace

bool Engine::fail(std::string sentence)
{
    error_ = std::move(sentence);
    return false;
}

bool Engine::ready()
{
    if (context_) return true;
    return fail("llama.not_loaded: no model is loaded; call llama.load(\"/data/<id>\") first");
}

void Engine::free_all()
{
    if (sampler_) llama_sampler_free(sampler_);
    if (context_) llama_free(context_);
    if (model_) llama_model_free(model_);
    sampler_ = nullptr;
    context_ = nullptr;
    model_ = nullptr;
}

void Engine::unload()
{
    free_all();
    used_tokens_ = prompt_tokens_ = generated_tokens_ = 0;
    pending_ = LLAMA_TOKEN_NULL;
    has_logits_ = false;
    stop_ = Stop::none;
    piece_.clear();
    held_.clear();
}

bool Engine::load(const std::string& path, const LoadOptions& options)
{
    unload();
    options_ = options;
    try {
        start_backend();
        log_lines().clear();
        if (const auto why = why_missing(path); !why.empty()) return fail("llama.model_missing: " + path + ": " + why);

        // Weights are mapped where the host maps files, and read otherwise. Without extra buffer types they are used as
        // they lie in the file, so that a mapping stays one.
        auto model_params = llama_model_default_params();
        model_params.load_mode = LLAMA_LOAD_MODE_MMAP;
        model_params.n_gpu_layers = 0;
        model_params.use_extra_bufts = false;
        model_ = llama_model_load_from_file(path.c_str(), model_params);
        if (!model_) return fail("llama.model_invalid: " + path + ": " + reason());

        // F16 keys and values with flash attention are what the extension `tensor` computes, in one call per token. The cache
        // of a sliding window has its full length, so that a cell's number is its position however a prompt was cut: sums go
        // by the numbers of cells (docs/arithmetic.md). One row of output: only the last token's is ever looked at, and a row
        // per token of the batch would cost a hundred megabytes.
        const auto trained = static_cast<std::uint32_t>(std::max(1, llama_model_n_ctx_train(model_)));
        auto context_params = llama_context_default_params();
        context_params.n_ctx = std::clamp<std::uint32_t>(options.context_tokens, 64, std::max(64U, trained));
        context_params.n_batch = std::clamp<std::uint32_t>(options.batch_tokens, 1, context_params.n_ctx);
        context_params.n_ubatch = context_params.n_batch;
        context_params.n_outputs_max = 1;
        context_params.n_threads = context_params.n_threads_batch = 1;
        context_params.type_k = context_params.type_v = GGML_TYPE_F16;
        context_params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
        context_params.swa_full = true;
        context_params.no_perf = true;
        context_ = llama_init_from_model(model_, context_params);
        if (!context_) {
            free_all();
            return fail("llama.context_failed: no context for " + path + ": " + reason());
        }
        options_.batch_tokens = llama_n_batch(context_);
        set_sampling(sampling_);
        return true;
    } catch (const std::exception& thrown) {
        free_all();
        return fail("llama.model_invalid: " + path + ": " + thrown.what());
    }
}

void Engine::set_sampling(const SamplingOptions& options)
{
    sampling_ = options;
    // This seed asks llama.cpp for one from the system.
    if (sampling_.seed == LLAMA_DEFAULT_SEED) sampling_.seed = 0;
    if (!model_) return;
    if (sampler_) llama_sampler_free(sampler_);
    auto params = llama_sampler_chain_default_params();
    params.no_perf = true;
    sampler_ = llama_sampler_chain_init(params);
    if (sampling_.temperature <= 0) {
        llama_sampler_chain_add(sampler_, llama_sampler_init_greedy());
        return;
    }
    llama_sampler_chain_add(sampler_, llama_sampler_init_top_k(sampling_.top_k));
    llama_sampler_chain_add(sampler_, llama_sampler_init_top_p(sampling_.top_p, 1));
    if (sampling_.min_p > 0) llama_sampler_chain_add(sampler_, llama_sampler_init_min_p(sampling_.min_p, 1));
    llama_sampler_chain_add(sampler_, llama_sampler_init_temp(sampling_.temperature));
    llama_sampler_chain_add(sampler_, llama_sampler_init_dist(sampling_.seed));
}

std::uint32_t Engine::context_tokens() const
{
    return context_ ? llama_n_ctx(context_) : 0;
}

// The data of old keys and values stays: it is masked, and zeroing it would dirty every page of the cache.
void Engine::forget()
{
    llama_memory_clear(llama_get_memory(context_), false);
    if (sampler_) llama_sampler_reset(sampler_);
    used_tokens_ = prompt_tokens_ = generated_tokens_ = 0;
    pending_ = LLAMA_TOKEN_NULL;
    has_logits_ = false;
    stop_ = Stop::none;
    piece_.clear();
    held_.clear();
}

bool Engine::tokenize(const std::string& text, bool beginning, std::vector<llama_token>& tokens)
{
    if (text.size() > INT32_MAX / 2) return fail("llama.prompt_too_long: the prompt has " + std::to_string(text.size()) + " bytes");
    const auto* vocab = llama_model_get_vocab(model_);
    const auto length = static_cast<std::int32_t>(text.size());
    tokens.resize(text.size() + 8);
    auto count = llama_tokenize(vocab, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()), beginning, true);
    if (count < 0 && count != INT32_MIN) {
        tokens.resize(static_cast<std::size_t>(-count));
        count = llama_tokenize(vocab, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()), beginning, true);
    }
    if (count < 0) return fail("llama.tokenize_failed: the text cannot be cut into tokens");
    tokens.resize(static_cast<std::size_t>(count));
    return true;
}

bool Engine::decode(std::span<llama_token> tokens)
{
    while (!tokens.empty()) {
        const auto count = std::min<std::size_t>(tokens.size(), options_.batch_tokens);
        const auto status = llama_decode(context_, llama_batch_get_one(tokens.data(), static_cast<std::int32_t>(count)));
        if (status != 0) return fail("llama.decode_failed: llama.cpp answered " + std::to_string(status) + "; " + reason());
        used_tokens_ += static_cast<std::uint32_t>(count);
        tokens = tokens.subspan(count);
        has_logits_ = true;
    }
    return true;
}

bool Engine::read_text(const std::string& text, bool beginning)
{
    std::vector<llama_token> tokens;
    if (!tokenize(text, beginning, tokens)) return false;
    if (pending_ != LLAMA_TOKEN_NULL) tokens.insert(tokens.begin(), std::exchange(pending_, LLAMA_TOKEN_NULL));
    const auto total = used_tokens_ + tokens.size();
    if (total > context_tokens())
        return fail("llama.prompt_too_long: the prompt has " + std::to_string(total) + " tokens; at most "
            + std::to_string(context_tokens()) + " are allowed, the length of the context");
    if (!decode(tokens)) return false;
    prompt_tokens_ = used_tokens_ - generated_tokens_;
    stop_ = Stop::none;
    return true;
}

bool Engine::start(const std::string& text, bool beginning)
{
    if (!ready()) return false;
    try {
        log_lines().clear();
        forget();
        if (read_text(text, beginning)) return true;
        forget();
        return false;
    } catch (const std::exception& thrown) {
        return fail(std::string{"llama.failed: "} + thrown.what());
    }
}

bool Engine::set_prompt(const std::string& text)
{
    return start(text, true);
}

bool Engine::add(const std::string& text)
{
    if (!ready()) return false;
    try {
        log_lines().clear();
        return read_text(text, used_tokens_ == 0);
    } catch (const std::exception& thrown) {
        return fail(std::string{"llama.failed: "} + thrown.what());
    }
}

// llama.cpp knows templates by their shape and does not run them: a system text that a template holds for conversations
// without one is left out. SmolLM2 answers as well without its own, in half the time.
bool Engine::set_chat(std::vector<ChatMessage> messages)
{
    if (!ready()) return false;
    const char* source = llama_model_chat_template(model_, nullptr);
    if (!source) return fail("llama.no_chat_template: the model has no chat template; use llama.setPrompt and llama.next");
    std::string prompt;
    try {
        std::vector<llama_chat_message> views;
        std::size_t bytes = 256;
        for (const auto& message : messages) {
            views.push_back({message.role.c_str(), message.content.c_str()});
            bytes += 2 * (message.role.size() + message.content.size()) + 64;
        }
        prompt.resize(bytes);
        for (int attempt = 0; attempt < 2; attempt++) {
            const auto length = llama_chat_apply_template(
                source, views.data(), views.size(), true, prompt.data(), static_cast<std::int32_t>(prompt.size()));
            if (length < 0)
                return fail("llama.chat_template_unknown: llama.cpp does not know the form of this model's chat template; use "
                            "llama.setPrompt and llama.next");
            const bool fits = static_cast<std::size_t>(length) <= prompt.size();
            prompt.resize(static_cast<std::size_t>(length));
            if (fits) break;
        }
    } catch (const std::exception& thrown) {
        return fail(std::string{"llama.failed: "} + thrown.what());
    }

    // Some templates write the token for the beginning themselves; it must not be there twice.
    const auto* vocab = llama_model_get_vocab(model_);
    const auto bos = llama_vocab_bos(vocab);
    const char* bos_text = bos == LLAMA_TOKEN_NULL ? nullptr : llama_vocab_get_text(vocab, bos);
    const bool begins = bos_text && *bos_text && prompt.starts_with(bos_text);
    return start(prompt, !begins);
}

bool Engine::next()
{
    piece_.clear();
    if (!ready()) return false;
    if (stop_ != Stop::none) return true;
    try {
        if (pending_ != LLAMA_TOKEN_NULL) {
            if (used_tokens_ >= context_tokens()) {
                stop_ = Stop::length;
                piece_.swap(held_);
                return true;
            }
            auto token = std::exchange(pending_, LLAMA_TOKEN_NULL);
            if (!decode({&token, 1})) return false;
        }
        if (!has_logits_) return fail("llama.no_prompt: nothing to go on from; call llama.setPrompt first");

        const auto* vocab = llama_model_get_vocab(model_);
        const auto token = llama_sampler_sample(sampler_, context_, -1);
        if (llama_vocab_is_eog(vocab, token)) {
            stop_ = Stop::end;
            piece_.swap(held_);
            return true;
        }
        pending_ = token;
        generated_tokens_++;

        char short_piece[128];
        auto length = llama_token_to_piece(vocab, token, short_piece, sizeof short_piece, 0, false);
        if (length >= 0) {
            held_.append(short_piece, static_cast<std::size_t>(length));
        } else {
            std::string long_piece(static_cast<std::size_t>(-length), '\0');
            length = llama_token_to_piece(vocab, token, long_piece.data(), -length, 0, false);
            if (length > 0) held_.append(long_piece, 0, static_cast<std::size_t>(length));
        }
        const auto whole = held_.size() - incomplete_tail(held_);
        piece_.assign(held_, 0, whole);
        held_.erase(0, whole);
        return true;
    } catch (const std::exception& thrown) {
        return fail(std::string{"llama.failed: "} + thrown.what());
    }
}

}  // namespace altiplano::guest
