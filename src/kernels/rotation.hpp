#pragma once

#include "kernels/trigonometry.hpp"

/// The angles of rotary positions (docs/arithmetic.md §5, rope). Parameters: how many elements rotate, 1 for pairs half a
/// rotation apart, base, frequency scale, factor of the result. Then, for positions that are interpolated by frequency (YaRN):
/// how much, and the pairs between which it sets in. Sources: values, positions, optional divisors of the frequencies.
namespace altiplano::kernels {

/// 1 up to `low`, 0 from `high` on.
static inline double ramp(double i, float low, float high)
{
    const double between = static_cast<double>(high) - static_cast<double>(low);
    const double y = (i - static_cast<double>(low)) / (between > 0.001 ? between : 0.001);
    return 1.0 - (y > 0.0 ? (y < 1.0 ? y : 1.0) : 0.0);
}

/// By how much pair i turns from one position to the next. @param log_base  log_double of the base
static inline double frequency_of(const Node& node, std::int64_t i, double log_base)
{
    const auto pairs = static_cast<std::int64_t>(node.parameters[0]) / 2;
    const auto scale = static_cast<double>(float_of(node.parameters[3]));
    const auto extrapolated = static_cast<double>(float_of(node.parameters[5]));
    double frequency = exp_double(-(static_cast<double>(2 * i) / static_cast<double>(2 * pairs)) * log_base);
    if (node.sources > 2)
        frequency = frequency / static_cast<double>(load_as<float>(node.source[2].data + 4 * i));
    if (extrapolated == 0.0)
        return frequency * scale;
    const double mix = ramp(static_cast<double>(i), float_of(node.parameters[6]), float_of(node.parameters[7])) * extrapolated;
    return frequency * scale * (1.0 - mix) + frequency * mix;
}

/// Cosine and sine of position number t, times the factor of the result. @return false: too far
static inline bool put_angle(const Node& node, std::int64_t t, double frequency, float* at)
{
    const double angle = static_cast<double>(index_at(node.source[1], t)) * frequency;
    if (!(angle < 0x1p40 && angle > -0x1p40))
        return false;
    const float factor = float_of(node.parameters[4]);
    const auto [sine, cosine] = sine_cosine(angle);
    at[0] = static_cast<float>(cosine) * factor;
    at[1] = static_cast<float>(sine) * factor;
    return true;
}

/// Pair i of a row, turned.
static inline bool rotate(const Node& node, const float* x, float* y, std::int64_t i, const float* angle)
{
    const auto pairs = static_cast<std::int64_t>(node.parameters[0]) / 2;
    const bool halves = node.parameters[1] != 0;
    const auto a = halves ? i : 2 * i;
    const auto b = halves ? i + pairs : 2 * i + 1;
    const float x0 = x[a];
    const float x1 = x[b];
    y[a] = x0 * angle[0] - x1 * angle[1];
    y[b] = x0 * angle[1] + x1 * angle[0];
    return is_finite(y[a]) && is_finite(y[b]);
}

}  // namespace altiplano::kernels
