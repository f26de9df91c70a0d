#include "sampler.hpp"

#include <kernels/arithmetic.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>

namespace altiplano::guest {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr double weight_one = 4294967296.0;  // 2^32, the weight of the likeliest
constexpr std::size_t first_chunk = 64;
constexpr std::size_t stretch = 128;
constexpr std::size_t heap_max = 1024;  // more are found faster by sorting all

// The likelier first, of equals the lower number: a total order, so that every way of sorting gives the same.
bool comes_before(const Candidate& a, const Candidate& b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

constexpr std::int32_t no_place = std::numeric_limits<std::int32_t>::min();

// A number that orders finite logits as comes_before does, but for the tokens' numbers; below all others for what is not finite.
std::int32_t place(float logit)
{
    const float same = logit + 0.0F;  // minus zero is as large as zero
    std::int32_t bits;
    std::memcpy(&bits, &same, sizeof bits);
    const auto ordered = bits ^ static_cast<std::int32_t>(static_cast<std::uint32_t>(bits >> 31) >> 1);
    return (bits & 0x7f800000) == 0x7f800000 ? no_place : ordered;
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

struct Weighted {
    Candidate candidate;
    std::uint64_t weight;
};

bool in_order(const Weighted& a, const Weighted& b)
{
    return comes_before(a.candidate, b.candidate);
}

// How many of the first in order weigh at least `wanted` together, or all. They come to the front, the last of them last, the
// others in no order: halving takes a few looks at each, where sorting a vocabulary takes seventeen.
std::size_t beginning(std::span<Weighted> all, std::uint64_t wanted)
{
    std::size_t begin = 0;  // all before it belong, all behind the end do not
    std::size_t end = all.size();
    std::uint64_t sum = 0;
    while (end - begin > 1) {
        const auto middle = begin + (end - begin) / 2;
        const auto at = [&](std::size_t i) { return all.begin() + static_cast<std::ptrdiff_t>(i); };
        std::nth_element(at(begin), at(middle), at(end), in_order);
        std::uint64_t half = 0;
        for (const auto& one : all.subspan(begin, middle - begin))
            half += one.weight;
        if (sum + half >= wanted) {
            end = middle;
        } else {
            sum += half;
            begin = middle;
        }
    }
    return end;
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

// What was said and is therefore less likely, with the logits that it has now.
void Sampler::penalise(std::span<const float> logits, std::span<const std::int32_t> said)
{
    penalised_.clear();
    const bool wanted = options_.repeat_penalty != 1 || options_.frequency_penalty != 0 || options_.presence_penalty != 0;
    if (!wanted || options_.repeat_last <= 0)
        return;
    std::map<std::int32_t, std::int32_t> counts;
    for (const auto token : said.last(std::min<std::size_t>(said.size(), static_cast<std::size_t>(options_.repeat_last))))
        counts[token]++;
    for (const auto& [token, count] : counts) {
        if (token < 0 || static_cast<std::size_t>(token) >= logits.size()
            || !kernels::is_finite(logits[static_cast<std::size_t>(token)]))
            continue;
        auto x = logits[static_cast<std::size_t>(token)];
        x = x > 0 ? x / options_.repeat_penalty : x * options_.repeat_penalty;
        x = x - static_cast<float>(count) * options_.frequency_penalty;
        x = x - options_.presence_penalty;
        penalised_.push_back({token, x});
    }
}

// All that may come next, in no order.
void Sampler::collect(std::span<const float> logits)
{
    all_.clear();
    all_.reserve(logits.size());
    auto other = penalised_.begin();
    for (std::size_t i = 0; i < logits.size(); i++) {
        const auto token = static_cast<std::int32_t>(i);
        const auto logit = other != penalised_.end() && other->token == token ? (other++)->logit : logits[i];
        if (kernels::is_finite(logit))
            all_.push_back({token, logit});
    }
}

// The first `wanted` of all, in order, from one look at each logit: most stretches of a large vocabulary hold nothing that is
// better than what was found before, and compilers make vectors of finding that out.
std::vector<Candidate> Sampler::first(std::span<const float> logits, std::size_t wanted)
{
    std::vector<Candidate> found;  // a heap, the last in order on top
    const auto offer = [&](const Candidate& candidate) {
        if (found.size() == wanted) {
            if (!comes_before(candidate, found.front()))
                return;
            std::pop_heap(found.begin(), found.end(), comes_before);
            found.pop_back();
        }
        found.push_back(candidate);
        std::push_heap(found.begin(), found.end(), comes_before);
    };
    for (const auto& candidate : penalised_)
        if (kernels::is_finite(candidate.logit))
            offer(candidate);

    auto other = penalised_.begin();
    for (std::size_t begin = 0; begin < logits.size(); begin += stretch) {
        const auto part = logits.subspan(begin, std::min(stretch, logits.size() - begin));
        auto best = no_place;
        for (const float logit : part)
            best = std::max(best, place(logit));
        if (found.size() == wanted && best < place(found.front().logit))
            continue;
        for (std::size_t i = 0; i < part.size(); i++) {
            const auto token = static_cast<std::int32_t>(begin + i);
            while (other != penalised_.end() && other->token < token)
                ++other;
            if (kernels::is_finite(part[i]) && (other == penalised_.end() || other->token != token))
                offer({token, part[i]});
        }
    }
    std::sort_heap(found.begin(), found.end(), comes_before);
    return found;
}

// The first `wanted` of all that the constraint allows, in order. It is asked for chunks that grow, since a grammar takes its
// time.
std::vector<Candidate> Sampler::allowed(std::span<const float> logits, std::size_t wanted, Constraint& constraint)
{
    auto chunk = std::max(first_chunk, wanted);
    if (chunk <= heap_max && chunk < logits.size()) {
        auto chosen = first(logits, chunk);
        constraint.filter(chosen);
        std::erase_if(chosen, [](const auto& candidate) { return !candidate.allowed; });
        if (chosen.size() >= wanted)
            return {chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(wanted)};
    }

    collect(logits);
    std::vector<Candidate> chosen;
    for (std::size_t done = 0; done < all_.size() && chosen.size() < wanted; chunk *= 8) {
        const auto count = std::min(chunk, all_.size() - done);
        const auto begin = all_.begin() + static_cast<std::ptrdiff_t>(done);
        const auto end = begin + static_cast<std::ptrdiff_t>(count);
        std::partial_sort(begin, end, all_.end(), comes_before);
        constraint.filter({begin, end});
        for (auto at = begin; at != end && chosen.size() < wanted; ++at)
            if (at->allowed)
                chosen.push_back(*at);
        done += count;
    }
    return chosen;
}

// The likeliest of `candidates`, in no order, one of which there must be.
std::int32_t Sampler::draw(std::span<const Candidate> candidates)
{
    // Top-p and min-p go by the probabilities as the model gave them, temperature comes after.
    const Candidate best = *std::ranges::min_element(candidates, comes_before);
    std::vector<Weighted> kept;
    kept.reserve(candidates.size());
    std::uint64_t total = 0;
    for (const auto& candidate : candidates) {
        kept.push_back({candidate, weight(candidate.logit, best.logit, 1)});
        total += kept.back().weight;
    }
    // From the second on, the first below the least ends the list.
    if (const auto least = fraction(options_.min_p); least > 0) {
        const Weighted* end = nullptr;
        for (const auto& one : kept)
            if (one.weight < least && one.candidate.token != best.token && (!end || in_order(one, *end)))
                end = &one;
        if (end)
            std::erase_if(kept, [bound = *end](const auto& one) { return !in_order(one, bound); });
    }
    // sum / total >= part / 2^32, in integers
    const auto part = static_cast<Wide>(total) * fraction(options_.top_p);
    kept.resize(beginning(kept, static_cast<std::uint64_t>((part + 0xffffffffU) >> 32)));

    total = 0;
    for (auto& one : kept)
        total += one.weight = weight(one.candidate.logit, best.logit, options_.temperature);
    const auto point = static_cast<std::uint64_t>((static_cast<Wide>(random()) * total) >> 64);
    return kept[beginning(kept, point + 1) - 1].candidate.token;
}

std::int32_t Sampler::choose(std::span<const float> logits, std::span<const std::int32_t> said, Constraint* constraint)
{
    penalise(logits, said);
    const bool greedy = !(options_.temperature > 0);
    const auto wanted = greedy ? 1
        : options_.top_k > 0   ? std::min(static_cast<std::size_t>(options_.top_k), logits.size())
                               : logits.size();
    std::vector<Candidate> few;
    std::span<const Candidate> candidates;
    if (constraint) {
        candidates = few = allowed(logits, wanted, *constraint);
    } else if (wanted <= heap_max) {
        candidates = few = first(logits, wanted);
    } else {
        collect(logits);
        if (wanted < all_.size()) {
            std::nth_element(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(wanted), all_.end(), comes_before);
            all_.resize(wanted);
        }
        candidates = all_;
    }
    if (candidates.empty())
        return -1;
    return greedy ? candidates.front().token : draw(candidates);
}

}  // namespace altiplano::guest
