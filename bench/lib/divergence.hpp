#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

/// What a model expects against what another one does, of rows of logits, `width` each.
namespace altiplano::bench {

inline std::vector<float> floats_of(std::string_view bytes)
{
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

inline double log_sum(std::span<const float> row)
{
    const double largest = *std::ranges::max_element(row);
    double total = 0;
    for (const float x : row)
        total += std::exp(static_cast<double>(x) - largest);
    return largest + std::log(total);
}

/// Mean over the rows of the divergence of `other` from `reference`, in nats.
inline double divergence(std::span<const float> reference, std::span<const float> other, std::size_t width)
{
    double sum = 0;
    for (std::size_t row = 0; row < reference.size(); row += width) {
        const double a = log_sum(reference.subspan(row, width));
        const double b = log_sum(other.subspan(row, width));
        for (std::size_t i = row; i < row + width; ++i) {
            const double p = static_cast<double>(reference[i]) - a;
            sum += std::exp(p) * (p - (static_cast<double>(other[i]) - b));
        }
    }
    return sum / static_cast<double>(reference.size() / width);
}

/// Nats per token by which each token of a text surprises who has read those before it.
inline double surprise(std::span<const float> logits, std::span<const std::int32_t> tokens, std::size_t width)
{
    double sum = 0;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
        const auto row = logits.subspan(i * width, width);
        sum += log_sum(row) - static_cast<double>(row[static_cast<std::size_t>(tokens[i + 1])]);
    }
    return sum / static_cast<double>(tokens.size() - 1);
}

}  // namespace altiplano::bench
