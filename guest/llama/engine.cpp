#include "engine.hpp"

#include "grammar.hpp"
#include "tensor_backend.hpp"

#include <ggml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace altiplano::guest {
namespace {

constexpr std::size_t log_bytes_max = 2000;
constexpr std::uint32_t ahead_max = 64;  // tokens of a claimed answer that are read at once: each has a row of logits

// The last lines that llama.cpp wrote before it gave up: the reason that a caller wants to read.
std::string& log_lines()
{
    static std::string lines;
    return lines;
}

void keep_log(ggml_log_level level, const char* text, void*)
{
    static bool wanted = false;
    if (level != GGML_LOG_LEVEL_CONT)
        wanted = level >= GGML_LOG_LEVEL_WARN;
    if (!wanted)
        return;
    auto& lines = log_lines();
    lines += text;
    if (lines.size() > log_bytes_max)
        lines.erase(0, lines.size() - log_bytes_max);
}

std::string reason()
{
    std::string text;
    for (const char c : log_lines()) {
        if (c != '\n')
            text += c;
        else
            text += "; ";
    }
    while (text.ends_with("; "))
        text.erase(text.size() - 2);
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
        if ((c & 0xC0) == 0x80)
            continue;
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
    if (errno == ENOENT)
        return "the node has no such item";
    if (errno == EACCES)
        return "this process may not read the item, or not yet at this height";
    return "it cannot be opened (errno " + std::to_string(errno) + ")";
}

// F16 keys and values with flash attention are what the extension `tensor` computes, in one call per token. The cache
// of a sliding window has its full length, so that a cell's number is its position however a prompt was cut: sums go
// by the numbers of cells (docs/arithmetic.md). One row of output: only the last token's is ever looked at, and a row
// per token of the batch would cost a hundred megabytes.
llama_context_params context_params(const llama_model* model, const LoadOptions& options, std::uint32_t rows)
{
    const auto trained = static_cast<std::uint32_t>(std::max(1, llama_model_n_ctx_train(model)));
    auto params = llama_context_default_params();
    params.n_ctx = std::clamp<std::uint32_t>(options.context_tokens, 64, std::max(64U, trained));
    params.n_batch = std::clamp<std::uint32_t>(options.batch_tokens, 1, params.n_ctx);
    params.n_ubatch = params.n_batch;
    params.n_outputs_max = std::min(rows, params.n_batch);
    params.n_threads = params.n_threads_batch = 1;
    params.type_k = params.type_v = GGML_TYPE_F16;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.swa_full = true;
    params.no_perf = true;
    return params;
}

}  // namespace

Engine::Engine() = default;
Engine::~Engine()
{
    free_all();
}

bool Engine::fail(std::string sentence)
{
    error_ = std::move(sentence);
    return false;
}

bool Engine::ready()
{
    if (context_)
        return true;
    if (model_)
        return fail("llama.not_loaded: only the tokenizer is loaded; load the model without words_only");
    return fail("llama.not_loaded: no model is loaded; call llama.load(\"/data/<id>\") first");
}

bool Engine::has_words()
{
    return model_ || ready();
}

void Engine::clear_log()
{
    log_lines().clear();
}

std::string Engine::take_log()
{
    return std::exchange(log_lines(), {});
}

void Engine::free_all()
{
    grammar_.reset();
    if (context_)
        llama_free(context_);
    if (model_)
        llama_model_free(model_);
    context_ = nullptr;
    model_ = nullptr;
}

void Engine::unload()
{
    free_all();
    held_tokens_.clear();
    last_batch_.clear();
    restored_logits_.clear();
    ahead_.clear();
    row_ = -1;
    position_ = 0;
    pending_ = LLAMA_TOKEN_NULL;
    has_logits_ = false;
    stop_ = Stop::none;
    piece_.clear();
    unfinished_.clear();
}

bool Engine::load(const std::vector<std::string>& paths, const LoadOptions& options)
{
    unload();
    options_ = options;
    if (paths.empty())
        return fail("llama.model_missing: no path was given");
    const auto& path = paths.front();
    try {
        start_backend();
        log_lines().clear();
        std::vector<const char*> views;
        for (const auto& one : paths) {
            if (const auto why = why_missing(one); !why.empty())
                return fail("llama.model_missing: " + one + ": " + why);
            views.push_back(one.c_str());
        }

        // Weights are mapped where the host maps files, and read otherwise. Without extra buffer types they are used as
        // they lie in the file, so that a mapping stays one.
        auto model_params = llama_model_default_params();
        model_params.load_mode = LLAMA_LOAD_MODE_MMAP;
        model_params.n_gpu_layers = 0;
        model_params.use_extra_bufts = false;
        model_params.vocab_only = options.words_only;
        model_ = views.size() == 1 ? llama_model_load_from_file(views.front(), model_params)
                                   : llama_model_load_from_splits(views.data(), views.size(), model_params);
        if (!model_)
            return fail("llama.model_invalid: " + path + ": " + reason());
        if (options.words_only)
            return true;

        if (llama_model_is_diffusion(model_)) {
            free_all();
            return fail("llama.model_unsupported: " + path
                + ": the model writes all of its text at once, step by step; only models that read from left to right can be "
                  "used");
        }
        read_draft();
        rows_ = checking_ ? std::min(ahead_max, options.batch_tokens) : 1;
        context_ = llama_init_from_model(model_, context_params(model_, options, rows_));
        if (!context_) {
            free_all();
            return fail("llama.context_failed: no context for " + path + ": " + reason());
        }
        options_.batch_tokens = llama_n_batch(context_);
        sampler_.reset();
        return true;
    } catch (const std::exception& thrown) {
        free_all();
        return fail("llama.model_invalid: " + path + ": " + thrown.what());
    }
}

bool Engine::set_grammar(const std::string& gbnf)
{
    if (gbnf.empty()) {
        grammar_.reset();
        return true;
    }
    return guarded([&] {
        grammar_ = Grammar::create(llama_model_get_vocab(model_), gbnf);
        return grammar_ ? true : fail("llama.grammar_invalid: the grammar cannot be read: " + reason());
    });
}

std::uint32_t Engine::context_tokens() const
{
    return context_ ? llama_n_ctx(context_) : 0;
}

// ---------------------------------------------------------------------------------------------------- tokens

bool Engine::tokenize(const std::string& text, bool beginning, bool special, Tokens& tokens)
{
    if (!has_words())
        return false;
    return caught([&] {
        if (text.size() > INT32_MAX / 2)
            return fail("llama.prompt_too_long: the prompt has " + std::to_string(text.size()) + " bytes");
        const auto* vocab = llama_model_get_vocab(model_);
        const auto length = static_cast<std::int32_t>(text.size());
        const auto cut = [&] {
            return llama_tokenize(
                vocab, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()), beginning, special);
        };
        tokens.resize(text.size() + 8);
        auto count = cut();
        if (count < 0 && count != INT32_MIN) {
            tokens.resize(static_cast<std::size_t>(-count));
            count = cut();
        }
        if (count < 0)
            return fail("llama.tokenize_failed: the text cannot be cut into tokens");
        tokens.resize(static_cast<std::size_t>(count));
        return true;
    });
}

std::string Engine::text_of(llama_token token, bool special) const
{
    const auto* vocab = llama_model_get_vocab(model_);
    if (token < 0 || token >= llama_vocab_n_tokens(vocab))
        return {};
    std::string text(32, '\0');
    auto length = llama_token_to_piece(vocab, token, text.data(), static_cast<std::int32_t>(text.size()), 0, special);
    if (length < 0) {
        text.resize(static_cast<std::size_t>(-length));
        length = llama_token_to_piece(vocab, token, text.data(), -length, 0, special);
    }
    text.resize(static_cast<std::size_t>(std::max(length, 0)));
    return text;
}

// ---------------------------------------------------------------------------------------------------- the context

// The data of old keys and values stays: it is masked, and zeroing it would dirty every page of the cache.
void Engine::forget()
{
    llama_memory_clear(llama_get_memory(context_), false);
    held_tokens_.clear();
    last_batch_.clear();
    ahead_.clear();
    row_ = -1;
    position_ = 0;
    pending_ = LLAMA_TOKEN_NULL;
    has_logits_ = false;
}

// Models with a state instead of a cache cannot go back: they begin anew.
void Engine::keep(std::size_t tokens)
{
    drop_ahead();
    if (tokens == held_tokens_.size() && tokens != 0)
        return;
    const auto from = static_cast<llama_pos>(tokens);
    if (tokens == 0 || options_.compat || !llama_memory_seq_rm(llama_get_memory(context_), 0, from, -1)) {
        forget();
        return;
    }
    held_tokens_.resize(tokens);
    position_ = from;
    has_logits_ = false;
}

bool Engine::fits(std::size_t more)
{
    const auto total = held_tokens_.size() + more;
    if (total <= context_tokens())
        return true;
    return fail("llama.prompt_too_long: the prompt has " + std::to_string(total) + " tokens; at most "
        + std::to_string(context_tokens()) + " are allowed, the length of the context");
}

// `gaps`: each token advances the position twice, as AO's llama does when it adds.
bool Engine::decode(std::span<const llama_token> tokens, llama_pos position, bool gaps)
{
    const auto vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model_));
    for (const auto token : tokens)
        if (token < 0 || token >= vocabulary)
            return fail("llama.bad_token: " + std::to_string(token) + " is no token; there are " + std::to_string(vocabulary));
    const std::size_t batch_tokens = gaps ? 1 : options_.batch_tokens;
    Tokens piece;
    std::vector<llama_pos> positions;
    while (!tokens.empty()) {
        const auto count = std::min(tokens.size(), batch_tokens);
        piece.assign(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(count));
        positions.clear();
        for (std::size_t i = 0; i < count; i++) {
            positions.push_back(position);
            last_batch_.push_back({piece[i], position});
            position += gaps ? 2 : 1;
        }
        auto batch = llama_batch_get_one(piece.data(), static_cast<std::int32_t>(count));
        batch.pos = positions.data();
        const auto status = llama_decode(context_, batch);
        if (status != 0)
            return fail("llama.decode_failed: llama.cpp answered " + std::to_string(status) + "; " + reason());
        held_tokens_.insert(held_tokens_.end(), piece.begin(), piece.end());
        tokens = tokens.subspan(count);
        has_logits_ = true;
        row_ = -1;
    }
    restored_logits_.clear();
    if (!options_.compat)
        last_batch_.clear();
    return true;
}

bool Engine::start(const Tokens& tokens)
{
    return guarded([&] {
        trail_.part();
        sampler_.reset();
        if (grammar_)
            grammar_->reset();
        stop_ = Stop::none;
        piece_.clear();
        unfinished_.clear();
        pending_ = LLAMA_TOKEN_NULL;
        last_batch_.clear();
        if (tokens.empty()) {
            forget();
            return true;
        }

        // The last token is computed in any case, for its logits.
        const auto longest = std::min(tokens.size() - 1, held_tokens_.size());
        const auto same =
            std::mismatch(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(longest), held_tokens_.begin());
        keep(options_.compat ? 0 : static_cast<std::size_t>(same.first - tokens.begin()));

        const auto rest = std::span(tokens).subspan(held_tokens_.size());
        if (fits(rest.size()) && decode(rest, position_, false)) {
            position_ += static_cast<llama_pos>(rest.size());
            return true;
        }
        forget();
        return false;
    });
}

// AO's llama does not empty its batch before it adds: what was decoded last is decoded again, at its positions. The counter
// advances once per token, the positions twice.
bool Engine::add_as_ao_does(const Tokens& tokens)
{
    const auto again = std::exchange(last_batch_, {});
    if (!fits(again.size() + tokens.size()))
        return false;
    for (const auto& placed : again)
        if (!decode({&placed.token, 1}, placed.position, true))
            return false;
    if (!decode(tokens, position_, true))
        return false;
    position_ += static_cast<llama_pos>(tokens.size());
    return true;
}

bool Engine::feed(const Tokens& tokens)
{
    return guarded([&] {
        trail_.part();
        if (stop_ == Stop::length)
            return fits(tokens.size() + 1);
        if (!settle())
            return false;
        drop_ahead();
        stop_ = Stop::none;
        if (options_.compat)
            return add_as_ao_does(tokens);
        if (!fits(tokens.size()) || !decode(tokens, position_, false))
            return false;
        position_ += static_cast<llama_pos>(tokens.size());
        return true;
    });
}

// Decodes what was sampled last. A full context is an end, not an error.
bool Engine::settle()
{
    if (pending_ == LLAMA_TOKEN_NULL)
        return true;
    if (held_tokens_.size() >= context_tokens()) {
        stop_ = Stop::length;
        return true;
    }
    const auto token = std::exchange(pending_, LLAMA_TOKEN_NULL);
    last_batch_.clear();
    if (decode_ahead(token))
        return true;
    // AO's llama counts the token before it places it.
    if (options_.compat)
        position_++;
    if (!decode({&token, 1}, position_, false))
        return false;
    if (!options_.compat)
        position_++;
    return true;
}

// ---------------------------------------------------------------------------------------------------- answers that are checked

// Four lanes of multiplications: it finds differences, and nobody can choose the logits that go into it.
void Engine::Trail::add(llama_token token, std::span<const float> logits)
{
    tokens.push_back(token);
    const auto mixed = [](std::uint64_t lane, float logit) {
        std::uint32_t bits;
        std::memcpy(&bits, &logit, sizeof bits);
        lane = (lane ^ bits) * 0x9e3779b97f4a7c15U;
        return lane ^ lane >> 29;
    };
    // In locals, since a vocabulary has a quarter of a million words.
    auto a = fingerprint[0], b = fingerprint[1], c = fingerprint[2], d = fingerprint[3];
    std::size_t i = 0;
    for (; i + 4 <= logits.size(); i += 4) {
        a = mixed(a, logits[i]);
        b = mixed(b, logits[i + 1]);
        c = mixed(c, logits[i + 2]);
        d = mixed(d, logits[i + 3]);
    }
    fingerprint[0] = a, fingerprint[1] = b, fingerprint[2] = c, fingerprint[3] = d;
    for (; i < logits.size(); i++)
        fingerprint[i % 4] = mixed(fingerprint[i % 4], logits[i]);
}

void Engine::Trail::part()
{
    if (!tokens.empty() && tokens.back() != -1)
        tokens.push_back(-1);
}

Engine::Trail Engine::take_trail()
{
    draft_read_ = false;
    draft_.clear();
    return std::exchange(trail_, {});
}

// Where somebody checks an answer (`altiplano verify --fast`), a file says what its tokens are claimed to be. Elsewhere there is
// none.
void Engine::read_draft()
{
    if (std::exchange(draft_read_, true))
        return;
    draft_.clear();
    auto* const file = std::fopen("/altiplano/draft", "rb");
    checking_ = file != nullptr;
    if (!file)
        return;
    llama_token token;
    while (std::fread(&token, sizeof token, 1, file) == 1)
        draft_.push_back(token);
    std::fclose(file);
}

// The same as decoding `token`, when what is claimed to come behind it is read with it: a batch has the bits of its tokens one by
// one (docs/arithmetic.md). The next ones are then there already. What is sampled decides, whatever is claimed.
bool Engine::decode_ahead(llama_token token)
{
    if (ahead_used_ < ahead_.size() && ahead_[ahead_used_] == token) {
        row_ = static_cast<std::int32_t>(++ahead_used_ - 1);
        held_tokens_.push_back(token);
        position_++;
        return true;
    }
    drop_ahead();
    // The trail ends with the token that is being decoded.
    const auto at = trail_.tokens.size();
    if (rows_ == 1 || options_.compat || at == 0 || at >= draft_.size() || draft_[at - 1] != token
        || llama_model_is_recurrent(model_) || llama_model_is_hybrid(model_))
        return false;
    const auto vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model_));
    Tokens tokens{token};
    // The last one of a text was chosen and never read.
    for (auto i = at; i + 1 < draft_.size() && draft_[i + 1] != -1 && tokens.size() < rows_
        && held_tokens_.size() + tokens.size() < context_tokens() && draft_[i] >= 0 && draft_[i] < vocabulary;
        i++)
        tokens.push_back(draft_[i]);
    if (tokens.size() < 2)
        return false;
    std::vector<llama_pos> positions;
    for (std::size_t i = 0; i < tokens.size(); i++)
        positions.push_back(position_ + static_cast<llama_pos>(i));
    std::vector<std::int8_t> wanted(tokens.size(), 1);
    auto batch = llama_batch_get_one(tokens.data(), static_cast<std::int32_t>(tokens.size()));
    batch.pos = positions.data();
    batch.logits = wanted.data();
    if (llama_decode(context_, batch) != 0)
        throw std::runtime_error("a claimed answer cannot be read; " + reason());
    ahead_ = std::move(tokens);
    ahead_used_ = 1;
    row_ = 0;
    held_tokens_.push_back(token);
    position_++;
    has_logits_ = true;
    restored_logits_.clear();
    return true;
}

// The context holds what held_tokens_ says, and nothing behind it.
void Engine::drop_ahead()
{
    if (ahead_used_ < ahead_.size())
        llama_memory_seq_rm(llama_get_memory(context_), 0, position_, -1);
    ahead_.clear();
    ahead_used_ = 0;
}

// ---------------------------------------------------------------------------------------------------- generating

std::span<const float> Engine::last_logits() const
{
    if (!restored_logits_.empty())
        return restored_logits_;
    if (!context_ || !has_logits_)
        return {};
    const auto count = static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model_)));
    const float* values = llama_get_logits_ith(context_, row_);
    return values ? std::span(values, count) : std::span<const float>{};
}

bool Engine::logits(std::span<const float>& logits)
{
    return guarded([&] {
        if (!settle())
            return false;
        logits = last_logits();
        if (logits.empty() || stop_ == Stop::length)
            return fail("llama.no_prompt: nothing to go on from; call llama.setPrompt first");
        return true;
    });
}

bool Engine::next()
{
    piece_.clear();
    if (stop_ != Stop::none)
        return ready();
    return guarded([&] {
        if (!settle())
            return false;
        if (stop_ == Stop::length) {
            piece_.swap(unfinished_);
            return true;
        }
        const auto logits = last_logits();
        if (logits.empty())
            return fail("llama.no_prompt: nothing to go on from; call llama.setPrompt first");

        read_draft();
        const auto token = sampler_.choose(logits, held_tokens_, grammar_.get());
        if (token >= 0)
            trail_.add(token, logits);
        if (token < 0)
            return fail("llama.no_token: no token can come next: the grammar allows none, or the model computed no numbers");
        if (llama_vocab_is_eog(llama_model_get_vocab(model_), token)) {
            stop_ = Stop::end;
            piece_.swap(unfinished_);
            return true;
        }
        if (grammar_)
            grammar_->accept(token);
        pending_ = token;

        unfinished_ += text_of(token, false);
        const auto whole = unfinished_.size() - incomplete_tail(unfinished_);
        piece_.assign(unfinished_, 0, whole);
        unfinished_.erase(0, whole);
        return true;
    });
}

}  // namespace altiplano::guest
