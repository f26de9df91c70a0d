// A context as bytes, and embeddings. Both are rare: a process keeps its context in its memory anyway.
#include "engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace altiplano::guest {
namespace {

constexpr std::uint64_t state_magic = 0x3174787465746c61U;  // "altetxt1"
constexpr std::uint32_t embedding_chunk = 32;  // rows of logits come with it, and are not wanted

struct StateHeader {
    std::uint64_t magic = state_magic;
    std::uint64_t tokens = 0, logits = 0, chance = 0;
    std::int32_t pending = 0, position = 0;
    std::uint32_t stop = 0, identity_bytes = 0;
};

void put(std::string& out, const void* bytes, std::size_t count)
{
    out.append(static_cast<const char*>(bytes), count);
}

// Takes `count` bytes from the front.
bool take(std::string_view& from, void* bytes, std::size_t count)
{
    if (from.size() < count)
        return false;
    std::memcpy(bytes, from.data(), count);
    from.remove_prefix(count);
    return true;
}

struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};

}  // namespace

// What a state must agree with: other weights of the same shape are not noticed.
std::string Engine::identity() const
{
    char text[256];
    llama_model_desc(model_, text, sizeof text);
    return std::string(text) + " " + std::to_string(llama_model_n_params(model_)) + " " + std::to_string(llama_model_size(model_))
        + " " + std::to_string(llama_vocab_n_tokens(llama_model_get_vocab(model_)));
}

bool Engine::save(std::string& state)
{
    return guarded([&] {
        drop_ahead();
        const auto logits = pending_ == LLAMA_TOKEN_NULL ? last_logits() : std::span<const float>{};
        const auto what = identity();
        StateHeader header;
        header.tokens = held_tokens_.size();
        header.logits = logits.size();
        header.chance = sampler_.chance();
        header.pending = pending_;
        header.position = position_;
        header.stop = static_cast<std::uint32_t>(stop_);
        header.identity_bytes = static_cast<std::uint32_t>(what.size());
        state.clear();
        put(state, &header, sizeof header);
        put(state, what.data(), what.size());
        put(state, held_tokens_.data(), held_tokens_.size() * sizeof(llama_token));
        put(state, logits.data(), logits.size_bytes());
        const auto before = state.size();
        state.resize(before + llama_state_seq_get_size(context_, 0));
        const auto written =
            llama_state_seq_get_data(context_, reinterpret_cast<std::uint8_t*>(state.data()) + before, state.size() - before, 0);
        if (written == 0 && !held_tokens_.empty())
            return fail("llama.no_state: llama.cpp cannot write the state of this model");
        state.resize(before + written);
        return true;
    });
}

bool Engine::restore(std::string_view state)
{
    return guarded([&] {
        const auto bad = [&](const char* why) {
            forget();
            return fail(std::string{"llama.state_invalid: "} + why);
        };
        StateHeader header;
        if (!take(state, &header, sizeof header) || header.magic != state_magic)
            return bad("these bytes are no saved context");
        std::string what(std::min<std::size_t>(header.identity_bytes, state.size()), '\0');
        if (!take(state, what.data(), what.size()) || what != identity())
            return bad(("the context was saved with another model (" + what + "); loaded is " + identity()).c_str());
        const auto vocabulary = static_cast<std::uint64_t>(llama_vocab_n_tokens(llama_model_get_vocab(model_)));
        if (header.tokens > context_tokens())
            return bad("the saved context is longer than this one");
        if (header.logits != 0 && header.logits != vocabulary)
            return bad("these bytes are no saved context");

        Tokens tokens(static_cast<std::size_t>(header.tokens));
        std::vector<float> logits(static_cast<std::size_t>(header.logits));
        if (!take(state, tokens.data(), tokens.size() * sizeof(llama_token))
            || !take(state, logits.data(), logits.size() * sizeof(float)))
            return bad("the saved context is cut off");
        forget();
        unfinished_.clear();
        piece_.clear();
        if (!tokens.empty()
            && llama_state_seq_set_data(context_, reinterpret_cast<const std::uint8_t*>(state.data()), state.size(), 0) == 0)
            return bad("llama.cpp does not take it back");
        held_tokens_ = std::move(tokens);
        restored_logits_ = std::move(logits);
        position_ = header.position;
        pending_ = header.pending;
        stop_ = header.stop > 2 ? Stop::none : static_cast<Stop>(header.stop);
        sampler_.set_chance(header.chance);
        return true;
    });
}

// A model without pooling of its own is asked for the vector of each token, and their mean is taken in order: the same bits
// however the text is cut. Others pool the text themselves, which needs all of it in one batch.
bool Engine::embed(const Tokens& tokens, std::vector<float>& embedding)
{
    return guarded([&] {
        if (tokens.empty())
            return fail("llama.no_text: an empty text has no embedding");
        if (tokens.size() > context_tokens())
            return fail("llama.prompt_too_long: the text has " + std::to_string(tokens.size()) + " tokens; at most "
                + std::to_string(context_tokens()) + " are allowed, the length of the context");
        const auto pooling = llama_pooling_type(context_);
        const bool pooled = pooling != LLAMA_POOLING_TYPE_NONE;
        const auto count = static_cast<std::uint32_t>(tokens.size());

        auto params = llama_context_default_params();
        params.n_ctx = std::max(64U, count);
        params.n_batch = params.n_ubatch = pooled ? params.n_ctx : embedding_chunk;
        params.n_threads = params.n_threads_batch = 1;
        params.type_k = params.type_v = GGML_TYPE_F16;
        params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
        params.swa_full = true;
        params.no_perf = true;
        params.embeddings = true;
        params.pooling_type = pooling;
        const std::unique_ptr<llama_context, FreeContext> context(llama_init_from_model(model_, params));
        if (!context)
            return fail("llama.context_failed: no context for embeddings");

        const auto width = static_cast<std::size_t>(llama_model_n_embd(model_));
        std::vector<double> sum(width);
        auto rest = std::span(tokens);
        while (!rest.empty()) {
            Tokens piece(
                rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(rest.size(), params.n_batch)));
            rest = rest.subspan(piece.size());
            auto batch = llama_batch_get_one(piece.data(), static_cast<std::int32_t>(piece.size()));
            std::vector<std::int8_t> wanted(piece.size(), 1);
            batch.logits = wanted.data();
            const bool encodes = llama_model_has_encoder(model_);
            if (const auto status = encodes ? llama_encode(context.get(), batch) : llama_decode(context.get(), batch);
                status != 0)
                return fail("llama.decode_failed: llama.cpp answered " + std::to_string(status));
            for (std::size_t i = 0; i < (pooled ? 1 : piece.size()); i++) {
                const float* row = pooled ? llama_get_embeddings_seq(context.get(), 0)
                                          : llama_get_embeddings_ith(context.get(), static_cast<std::int32_t>(i));
                if (!row)
                    return fail("llama.no_embedding: the model gives no embedding");
                for (std::size_t d = 0; d < width; d++)
                    sum[d] += static_cast<double>(row[d]);
            }
        }
        double square = 0;
        for (const double x : sum)
            square += x * x;
        if (!(square > 0) || square > 1e300)
            return fail("llama.no_embedding: the embedding has no direction");
        const double length = std::sqrt(square);
        embedding.clear();
        for (const double x : sum)
            embedding.push_back(static_cast<float>(x / length));
        return true;
    });
}

}  // namespace altiplano::guest
