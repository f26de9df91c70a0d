#include "sampler.hpp"

#include <kernels/arithmetic.hpp>

#include <algorithm>
#include <limits>
#include <map>

namespace altiplano::guest {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr double weight_one = 4294967296.0;  // 2^32, the weight of the likeliest
constexpr std::size_t first_chunk = 64;

// The likelier first, of equals the lower number: a total order, so that every way of sorting gives the same.
bool comes_before(const Candidate& a, const Candidate& b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

// Exact for what lies in a double; at most 2^32.
std::uint64_t weight(float logit, float best, float temperature)
{
    return static_cast<std::uint64_t>(static_cast<double>(kernels::exp_of((logit - best) / temperature)) * weight_one);
}

std::uint64_t fraction(float part)
{
    return static_cast<std::uint64_t>(static_cast<double>(std::clamp(part, 0.0F, 1.0F)) * weight_one);
}

}  // namespace

void Sampler::set(const SamplingOptions& options)
{
    const bool new_seed = options.seed != options_.seed;
    options_ = options;
    if (new_seed)
        reset();
}

// SplitMix64.
std::uint64_t Sampler::random()
{
    chance_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = chance_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void Sampler::collect(std::span<const float> logits, std::span<const std::int32_t> said)
{
    all_.clear();
    all_.reserve(logits.size());
    for (std::size_t i = 0; i < logits.size(); i++)
        if (kernels::is_finite(logits[i]))
            all_.push_back({static_cast<std::int32_t>(i), logits[i]});

    const bool penalised = options_.repeat_penalty != 1 || options_.frequency_penalty != 0 || options_.presence_penalty != 0;
    if (!penalised || options_.repeat_last <= 0)
        return;
    std::map<std::int32_t, std::int32_t> counts;
    for (const auto token : said.last(std::min<std::size_t>(said.size(), static_cast<std::size_t>(options_.repeat_last))))
        counts[token]++;
    for (auto& candidate : all_) {
        const auto found = counts.find(candidate.token);
        if (found == counts.end())
            continue;
        auto& x = candidate.logit;
        x = x > 0 ? x / options_.repeat_penalty : x * options_.repeat_penalty;
        x = x - static_cast<float>(found->second) * options_.frequency_penalty;
        x = x - options_.presence_penalty;
    }
}

// The first `wanted` of all that the constraint allows, in order. It is asked for chunks that grow, since a grammar takes its
// time.
std::vector<Candidate> Sampler::best(std::size_t wanted, Constraint* constraint)
{
    std::vector<Candidate> chosen;
    std::size_t done = 0;
    std::size_t chunk = constraint ? std::max(first_chunk, std::min(wanted, all_.size())) : wanted;
    while (done < all_.size() && chosen.size() < wanted) {
        const auto count = std::min(chunk, all_.size() - done);
        const auto begin = all_.begin() + static_cast<std::ptrdiff_t>(done);
        const auto end = begin + static_cast<std::ptrdiff_t>(count);
        std::partial_sort(begin, end, all_.end(), comes_before);
        if (constraint)
            constraint->filter({begin, end});
        for (auto at = begin; at != end && chosen.size() < wanted; ++at)
            if (at->allowed)
                chosen.push_back(*at);
        done += count;
        chunk *= 8;
    }
    return chosen;
}

std::int32_t Sampler::draw(std::span<const Candidate> candidates)
{
    // Top-p and min-p go by the probabilities as the model gave them, temperature comes after.
    const float top = candidates.front().logit;
    std::vector<std::uint64_t> weights;
    std::uint64_t total = 0;
    for (const auto& candidate : candidates) {
        weights.push_back(weight(candidate.logit, top, 1));
        total += weights.back();
    }
    const auto least = fraction(options_.min_p);
    const auto part = fraction(options_.top_p);
    std::size_t kept = 0;
    std::uint64_t sum = 0;
    while (kept < candidates.size()) {
        if (kept > 0 && weights[kept] < least)
            break;
        sum += weights[kept++];
        // sum / total >= part / 2^32, in integers
        if (static_cast<Wide>(sum) << 32 >= static_cast<Wide>(total) * part)
            break;
    }

    total = 0;
    for (std::size_t i = 0; i < kept; i++)
        total += weights[i] = weight(candidates[i].logit, top, options_.temperature);
    auto point = static_cast<std::uint64_t>((static_cast<Wide>(random()) * total) >> 64);
    for (std::size_t i = 0; i < kept; i++) {
        if (point < weights[i])
            return candidates[i].token;
        point -= weights[i];
    }
    return candidates.front().token;
}

std::int32_t Sampler::choose(std::span<const float> logits, std::span<const std::int32_t> said, Constraint* constraint)
{
    collect(logits, said);
    const bool greedy = !(options_.temperature > 0);
    const auto wanted = greedy ? 1
        : options_.top_k > 0   ? static_cast<std::size_t>(options_.top_k)
                               : std::numeric_limits<std::size_t>::max();
    if (greedy && !constraint) {
        const auto found = std::min_element(all_.begin(), all_.end(), comes_before);
        return found == all_.end() ? -1 : found->token;
    }
    const auto candidates = best(std::min(wanted, all_.size()), constraint);
    if (candidates.empty())
        return -1;
    return greedy ? candidates.front().token : draw(candidates);
}

}  // namespace altiplano::guest
