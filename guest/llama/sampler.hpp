// How the next token is chosen: docs/arithmetic.md §9. Knows nothing of llama.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace altiplano::guest {

/// Temperature 0 is greedy: always the likeliest token. `top_k` 0, `top_p` 1 and `min_p` 0 exclude nothing.
/// Penalties look at the last `repeat_last` tokens: a repeated token's logit is divided (multiplied when negative) by
/// `repeat_penalty`, and lowered by `presence_penalty` and by `frequency_penalty` for each time.
struct SamplingOptions {
    float temperature = 0;
    std::int32_t top_k = 40;
    float top_p = 0.95F;
    float min_p = 0;
    float repeat_penalty = 1;
    float frequency_penalty = 0;
    float presence_penalty = 0;
    std::int32_t repeat_last = 64;
    std::uint64_t seed = 1234;
};

struct Candidate {
    std::int32_t token;
    float logit;
    bool allowed = true;
};

/// What excludes tokens whatever their logits are.
class Constraint {
public:
    virtual ~Constraint() = default;
    /// Clears `allowed` of each candidate that may not come next.
    virtual void filter(std::span<Candidate> candidates) = 0;
};

class Sampler {
public:
    /// Another seed begins anew, so does reset().
    void set(const SamplingOptions& options);
    const SamplingOptions& options() const { return options_; }
    void reset() { chance_ = options_.seed; }
    std::uint64_t chance() const { return chance_; }
    void set_chance(std::uint64_t state) { chance_ = state; }

    /// @param said  what the context holds, the newest last
    /// @return the token, or -1 if none is left: every logit is infinite or no number, or the constraint allows none
    std::int32_t choose(std::span<const float> logits, std::span<const std::int32_t> said, Constraint* constraint);

private:
    void penalise(std::span<const float> logits, std::span<const std::int32_t> said);
    void collect(std::span<const float> logits);
    std::vector<Candidate> first(std::span<const float> logits, std::size_t wanted);
    std::vector<Candidate> allowed(std::span<const float> logits, std::size_t wanted, Constraint& constraint);
    std::int32_t draw(std::span<const Candidate> candidates);
    std::uint64_t random();

    SamplingOptions options_;
    std::uint64_t chance_ = options_.seed;
    std::vector<Candidate> penalised_;  ///< by token
    std::vector<Candidate> all_;
};

}  // namespace altiplano::guest
