#pragma once

#include "kernels/arithmetic.hpp"

/// Angles of rotary positions, in IEEE binary64 with fixed polynomials (docs/arithmetic.md §3.4). By hand, since the C library's
/// functions differ between libraries. Arguments are finite.
namespace altiplano::kernels {

static inline double double_of(std::uint64_t bits)
{
    return __builtin_bit_cast(double, bits);
}
static inline std::uint64_t bits_of(double x)
{
    return __builtin_bit_cast(std::uint64_t, x);
}

/// The largest integer not above x, |x| < 2^62.
static inline std::int64_t floor_of(double x)
{
    const auto n = static_cast<std::int64_t>(x);
    return static_cast<double>(n) > x ? n - 1 : n;
}

/// x < 700 in magnitude.
static inline double exp_double(double x)
{
    const auto n = floor_of(x * 1.4426950408889634 + 0.5);
    const auto nd = static_cast<double>(n);
    const double r = (x - nd * 0.693147180369123816490) - nd * 1.90821492927058770002e-10;
    double term = 1.0;
    double sum = 1.0;
    for (int i = 1; i <= 20; ++i) {
        term = term * r;
        term = term / static_cast<double>(i);
        sum = sum + term;
    }
    return sum * double_of(static_cast<std::uint64_t>(n + 1023) << 52);
}

/// x is a normal positive number.
static inline double log_double(double x)
{
    const auto bits = bits_of(x);
    auto e = static_cast<std::int64_t>(bits >> 52) - 1022;
    double m = double_of((bits & 0xfffffffffffffULL) | 0x3fe0000000000000ULL);
    if (m < 0.70710678118654752440) {
        m = m * 2.0;
        e = e - 1;
    }
    const double y = (m - 1.0) / (m + 1.0);
    const double y2 = y * y;
    double term = y;
    double sum = 0.0;
    for (int i = 1; i <= 41; i += 2) {
        sum = sum + term / static_cast<double>(i);
        term = term * y2;
    }
    sum = 2.0 * sum;
    return sum + static_cast<double>(e) * 0.69314718055994530942;
}

struct SineCosine {
    double sine, cosine;
};
/// |a| < 2^40.
static inline SineCosine sine_cosine(double a)
{
    const auto n = floor_of(a * 0.63661977236758134308 + 0.5);
    const auto nd = static_cast<double>(n);
    double r = a - nd * 1.57079632673412561417e+00;
    r = r - nd * 6.07710050630396597660e-11;
    r = r - nd * 2.02226624879595063154e-21;
    const double r2 = r * r;
    double s = 1.58969099521155010221e-10;
    s = s * r2 + -2.50507602534068634195e-08;
    s = s * r2 + 2.75573137070700676789e-06;
    s = s * r2 + -1.98412698298579493134e-04;
    s = s * r2 + 8.33333333332248946124e-03;
    s = s * r2 + -1.66666666666666324348e-01;
    double c = -1.13596475577881948265e-11;
    c = c * r2 + 2.08757232129817482790e-09;
    c = c * r2 + -2.75573143513906633035e-07;
    c = c * r2 + 2.48015872894767294178e-05;
    c = c * r2 + -1.38888888888741095749e-03;
    c = c * r2 + 4.16666666666666019037e-02;
    s = r + (r * r2) * s;
    c = (1.0 - 0.5 * r2) + (r2 * r2) * c;
    switch (n & 3) {
    case 0: return {s, c};
    case 1: return {c, 0.0 - s};
    case 2: return {0.0 - s, 0.0 - c};
    default: return {0.0 - c, s};
    }
}

/// How steeply attention falls with distance in head h of n (ALiBi), docs/arithmetic.md §6: exactly 1 without a bias.
static inline float slope_of(float bias, std::int64_t h, std::int64_t heads)
{
    if (bias == 0.0F)
        return 1.0F;
    std::int64_t power = 1;
    while (power * 2 <= heads)
        power *= 2;
    const auto of = [&](std::int64_t up, std::int64_t down) {
        const double exponent = static_cast<double>(up) / static_cast<double>(down);
        return static_cast<float>(exp_double((0.0 - static_cast<double>(bias) * exponent) * 0.693147180559945309417));
    };
    return h < power ? of(h + 1, power) : of(2 * (h - power) + 1, 2 * power);
}

}  // namespace altiplano::kernels
