#pragma once

#include "kernels/experts.hpp"
#include "kernels/lanes/lanes.hpp"

/// What works row by row (docs/arithmetic.md §5).
namespace altiplano::kernels {
namespace {

/// y = f(sixteen elements from i on) for a row of n; lanes behind its end are zero and are not stored.
/// @return the largest magnitude of what was stored
template <class Do> ALTIPLANO_LANES std::uint32_t along(float* y, std::int64_t n, Do f)
{
    auto worst = all(0);
    std::int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const auto x = f(i, 16);
        worst = larger(worst, magnitude(x));
        store16(y + i, x);
    }
    std::uint32_t rest = 0;
    if (i < n) {
        float lanes[16];
        store16(lanes, f(i, n - i));
        for (std::int64_t l = 0; l < n - i; ++l) {
            y[i + l] = lanes[l];
            const auto m = bits_of(lanes[l]) & 0x7fffffffU;
            rest = m > rest ? m : rest;
        }
    }
    const auto most = largest_of(worst);
    return most > rest ? most : rest;
}
ALTIPLANO_LANES F16x take(const float* x, std::int64_t i, std::int64_t n)
{
    return n == 16 ? load16(x + i) : load_few(x + i, n);
}
/// Sixteen sums by position modulo 16 of f(elements), then the tree. f of zero must be zero, or the lanes behind be masked.
template <class Do> ALTIPLANO_LANES float sum_along(std::int64_t n, Do f)
{
    auto sums = all(0.0F);
    for (std::int64_t i = 0; i < n; i += 16)
        sums = sums + f(i, n - i < 16 ? n - i : 16);
    return tree16(sums);
}

inline std::uint32_t rms_norm(const float* x, float* y, std::int64_t n, float epsilon)
{
    const float squares = sum_along(n, [=](std::int64_t i, std::int64_t few) {
        const auto v = take(x, i, few);
        return v * v;
    });
    const float scale = 1.0F / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon);
    return along(y, n, [=](std::int64_t i, std::int64_t few) { return take(x, i, few) * all(scale); });
}

inline std::uint32_t norm(const float* x, float* y, std::int64_t n, float epsilon)
{
    const float mean = sum_along(n, [=](std::int64_t i, std::int64_t few) { return take(x, i, few); }) / static_cast<float>(n);
    const float squares = sum_along(n, [=](std::int64_t i, std::int64_t few) {
        const auto d = take(x, i, few) - all(mean);
        if (few == 16)
            return d * d;
        float lanes[16];
        store16(lanes, d * d);
        return load_few(lanes, few);
    });
    const float scale = 1.0F / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon);
    return along(y, n, [=](std::int64_t i, std::int64_t few) { return (take(x, i, few) - all(mean)) * all(scale); });
}

inline std::uint32_t l2_norm(const float* x, float* y, std::int64_t n, float least)
{
    const float length = __builtin_sqrtf(sum_along(n, [=](std::int64_t i, std::int64_t few) {
        const auto v = take(x, i, few);
        return v * v;
    }));
    const float scale = 1.0F / (length > least ? length : least);
    return along(y, n, [=](std::int64_t i, std::int64_t few) { return take(x, i, few) * all(scale); });
}

inline std::uint32_t row(const Node& node, std::int64_t r)
{
    const auto [i1, i2, i3] = row_index(node.result, r);
    const auto n = node.result.extent[0];
    const auto* a = reinterpret_cast<const float*>(row_of(node.source[0], i1, i2, i3));
    auto* y = reinterpret_cast<float*>(row_of(node.result, i1, i2, i3));
    const auto one = [=](auto f) { return along(y, n, [=](std::int64_t i, std::int64_t few) { return f(take(a, i, few)); }); };
    switch (node.op) {
    case Op::rms_norm: return rms_norm(a, y, n, float_of(node.parameters[0]));
    case Op::norm: return norm(a, y, n, float_of(node.parameters[0]));
    case Op::scale: {
        const auto factor = all(float_of(node.parameters[0]));
        const auto bias = all(float_of(node.parameters[1]));
        return one([=](F16x x) { return x * factor + bias; });
    }
    case Op::l2_norm: return l2_norm(a, y, n, float_of(node.parameters[0]));
    case Op::clamp: {
        const auto low = all(float_of(node.parameters[0]));
        const auto high = all(float_of(node.parameters[1]));
        return one([=](F16x x) { return clamp16(x, low, high); });
    }
    case Op::neg: return one([](F16x x) { return x * all(-1.0F); });
    case Op::exp: return one([](F16x x) { return exp16(x); });
    case Op::sqr: return one([](F16x x) { return x * x; });
    case Op::sqrt: return one([](F16x x) { return each_lane(x, [](float v) { return __builtin_sqrtf(v); }); });
    case Op::gelu_quick: return one([](F16x x) { return gelu_quick16(x); });
    case Op::silu: return one([](F16x x) { return silu16(x); });
    case Op::gelu: return one([](F16x x) { return gelu16(x); });
    case Op::relu: return one([](F16x x) { return relu16(x); });
    case Op::tanh: return one([](F16x x) { return tanh16(x); });
    case Op::sigmoid: return one([](F16x x) { return sigmoid16(x); });
    default: break;
    }
    const auto& second = node.source[1];
    const auto* b =
        reinterpret_cast<const float*>(row_of(second, i1 % second.extent[1], i2 % second.extent[2], i3 % second.extent[3]));
    const bool single = second.extent[0] == 1;
    const auto both = [=](auto f) {
        return along(
            y, n, [=](std::int64_t i, std::int64_t few) { return f(take(a, i, few), single ? all(b[0]) : take(b, i, few)); });
    };
    switch (node.op) {
    case Op::add: return both([](F16x x, F16x z) { return x + z; });
    case Op::sub: return both([](F16x x, F16x z) { return x - z; });
    case Op::mul: return both([](F16x x, F16x z) { return x * z; });
    case Op::div: return both([](F16x x, F16x z) { return x / z; });
    case Op::swiglu: return both([](F16x x, F16x z) { return silu16(x) * z; });
    case Op::geglu_quick: return both([](F16x x, F16x z) { return gelu_quick16(x) * z; });
    case Op::swiglu_oai: {
        const auto alpha = all(float_of(node.parameters[0]));
        const auto limit = all(float_of(node.parameters[1]));
        return both([=](F16x x, F16x z) { return swiglu_oai16(x, z, alpha, limit); });
    }
    case Op::geglu: return both([](F16x x, F16x z) { return gelu16(x) * z; });
    default: return both([](F16x x, F16x z) { return relu16(x) * z; });
    }
}

/// set_rows into rows of F16.
inline Outcome set_half_rows(const Node& node, Share share)
{
    if (share.index != 0)
        return Outcome::done;
    const auto& rows = node.source[0];
    const auto width = rows.extent[0];
    auto worst = all(0);
    for (std::int64_t r = 0; r < rows.extent[1]; ++r) {
        const auto index = index_at(node.source[1], r);
        if (index < 0 || index >= node.result.extent[1])
            return Outcome::bad_index;
        const auto* from = reinterpret_cast<const float*>(row_of(rows, r));
        auto* to = row_of(node.result, index);
        for (std::int64_t i = 0; i < width; i += 16) {
            const auto x = load16(from + i);
            worst = larger(worst, magnitude(x));
            store_halves(to + 2 * i, x);
        }
    }
    return largest_of(worst) > infinity_bits ? Outcome::not_finite : Outcome::done;
}

inline Outcome by_rows(const Node& node, Share share)
{
    switch (node.op) {
    case Op::get_rows: return get_rows(node, share);
    case Op::set_rows:
        return node.result.type == Type::f16 && node.source[0].extent[0] % 16 == 0 ? set_half_rows(node, share)
                                                                                   : set_rows(node, share);
    case Op::copy: return copy(node, share);
    case Op::concat: return concat(node, share);
    case Op::add_id: return add_id(node, share);
    case Op::argsort: return argsort(node, share);
    case Op::sum_rows: return sum_rows(node, share);
    case Op::soft_max: return soft_max(node, share);
    default: break;
    }
    const auto part = part_of(rows_of(node.result), share);
    const auto most = may_be_infinite(node.op) ? infinity_bits : infinity_bits - 1;
    for (auto r = part.begin; r < part.end; ++r)
        if (row(node, r) > most)
            return Outcome::not_finite;
    return Outcome::done;
}

}  // namespace
}  // namespace altiplano::kernels
