#pragma once

#include "kernels/arithmetic.hpp"

/// Sixteen lanes made of the pieces of one instruction set (include that first): the vocabulary of vector/. Everything here is
/// what the scalar contract does, sixteen times, and nothing is fused or reordered.
namespace altiplano::kernels {
namespace {

constexpr int pieces = 16 / piece_lanes;

struct F16x {
    PieceF p[pieces];
};
struct I16x {
    PieceI p[pieces];
};

#define ALTIPLANO_LANES [[gnu::always_inline]] inline

template <class Out, class Do> ALTIPLANO_LANES Out each(Do todo)
{
    Out out;
    for (int i = 0; i < pieces; ++i)
        out.p[i] = todo(i);
    return out;
}

ALTIPLANO_LANES F16x load16(const float* p)
{
    return each<F16x>([=](int i) { return load(p + i * piece_lanes); });
}
ALTIPLANO_LANES I16x load16(const std::int32_t* p)
{
    return each<I16x>([=](int i) { return load(p + i * piece_lanes); });
}
ALTIPLANO_LANES F16x load_halves(const std::byte* p)
{
    return each<F16x>([=](int i) { return load_half(p + 2 * i * piece_lanes); });
}
ALTIPLANO_LANES void store16(float* p, F16x x)
{
    for (int i = 0; i < pieces; ++i)
        store(p + i * piece_lanes, x.p[i]);
}
ALTIPLANO_LANES void store_halves(std::byte* p, F16x x)
{
    for (int i = 0; i < pieces; ++i)
        store_half(p + 2 * i * piece_lanes, x.p[i]);
}
ALTIPLANO_LANES void store16(std::int32_t* p, I16x x)
{
    for (int i = 0; i < pieces; ++i)
        store(p + i * piece_lanes, x.p[i]);
}
ALTIPLANO_LANES void store_codes16(std::int8_t* p, I16x x)
{
    for (int i = 0; i < pieces; ++i)
        store_codes(p + i * piece_lanes, x.p[i]);
}
ALTIPLANO_LANES F16x all(float x)
{
    return each<F16x>([=](int) { return splat(x); });
}
ALTIPLANO_LANES I16x all(std::int32_t x)
{
    return each<I16x>([=](int) { return splat(x); });
}
template <class V>
ALTIPLANO_LANES V operator+(V a, V b)
    requires requires { a.p; }
{
    return each<V>([=](int i) { return a.p[i] + b.p[i]; });
}
template <class V>
ALTIPLANO_LANES V operator-(V a, V b)
    requires requires { a.p; }
{
    return each<V>([=](int i) { return a.p[i] - b.p[i]; });
}
template <class V>
ALTIPLANO_LANES V operator*(V a, V b)
    requires requires { a.p; }
{
    return each<V>([=](int i) { return a.p[i] * b.p[i]; });
}
ALTIPLANO_LANES F16x operator/(F16x a, F16x b)
{
    return each<F16x>([=](int i) { return a.p[i] / b.p[i]; });
}
ALTIPLANO_LANES I16x operator&(I16x a, I16x b)
{
    return each<I16x>([=](int i) { return a.p[i] & b.p[i]; });
}
ALTIPLANO_LANES I16x operator|(I16x a, I16x b)
{
    return each<I16x>([=](int i) { return a.p[i] | b.p[i]; });
}
ALTIPLANO_LANES I16x left(I16x a, int n)
{
    return each<I16x>([=](int i) { return left(a.p[i], n); });
}
ALTIPLANO_LANES I16x right(I16x a, int n)
{
    return each<I16x>([=](int i) { return right(a.p[i], n); });
}
ALTIPLANO_LANES I16x right_signed(I16x a, int n)
{
    return each<I16x>([=](int i) { return right_signed(a.p[i], n); });
}
ALTIPLANO_LANES I16x larger(I16x a, I16x b)
{
    return each<I16x>([=](int i) { return larger(a.p[i], b.p[i]); });
}
ALTIPLANO_LANES F16x if_greater(F16x a, F16x b, F16x x, F16x y)
{
    return each<F16x>([=](int i) { return if_greater(a.p[i], b.p[i], x.p[i], y.p[i]); });
}
ALTIPLANO_LANES I16x bits(F16x x)
{
    return each<I16x>([=](int i) { return bits(x.p[i]); });
}
ALTIPLANO_LANES F16x floats(I16x x)
{
    return each<F16x>([=](int i) { return floats(x.p[i]); });
}
ALTIPLANO_LANES F16x to_float(I16x x)
{
    return each<F16x>([=](int i) { return to_float(x.p[i]); });
}
ALTIPLANO_LANES F16x half_to_float(I16x x)
{
    return each<F16x>([=](int i) { return half_to_float(x.p[i]); });
}

/// Four bytes at p + r * stride of sixteen rows.
ALTIPLANO_LANES I16x gather16(const std::byte* p, std::int64_t stride)
{
    return each<I16x>([=](int i) { return gather(p + i * piece_lanes * stride, stride); });
}
/// Sixteen bytes of sixteen rows: out[g] has bytes 4g..4g+3 of row r in lane r.
ALTIPLANO_LANES void load_columns(const std::byte* p, std::int64_t stride, I16x* out)
{
    for (int i = 0; i < pieces; ++i) {
        const auto* at = p + i * piece_lanes * stride;
        for (int k = 0; k < 4; ++k)
            out[k].p[i] = load_row(at, stride, k);
        transpose(out[0].p[i], out[1].p[i], out[2].p[i], out[3].p[i]);
    }
}
/// acc + the dot products of sixteen rows' four groups of four codes with sixteen activations.
template <int Bits> ALTIPLANO_LANES I16x dot16(I16x acc, const I16x* w, const std::int8_t* q)
{
    return each<I16x>([=](int i) {
        const PieceI four[4] = {w[0].p[i], w[1].p[i], w[2].p[i], w[3].p[i]};
        return dot_half<Bits>(acc.p[i], four, q);
    });
}

ALTIPLANO_LANES std::int32_t sum_of(I16x x)
{
    auto s = x.p[0];
    for (int i = 1; i < pieces; ++i)
        s = s + x.p[i];
    return sum(s);
}
/// Of magnitudes: none is below zero.
ALTIPLANO_LANES std::uint32_t largest_of(I16x x)
{
    auto m = x.p[0];
    for (int i = 1; i < pieces; ++i)
        m = larger(m, x.p[i]);
    return static_cast<std::uint32_t>(largest(m));
}
ALTIPLANO_LANES I16x magnitude(F16x x)
{
    return bits(x) & all(0x7fffffff);
}
ALTIPLANO_LANES float tree16(F16x x)
{
    float lanes[16];
    store16(lanes, x);
    return tree(lanes);
}
/// Sixteen vectors across: f[i] has lane i of all sixteen.
ALTIPLANO_LANES void transpose16(const F16x* x, F16x* f)
{
    float rows[16][16];
    for (int i = 0; i < 16; ++i)
        store16(rows[i], x[i]);
    I16x t[16];
    for (int g = 0; g < 4; ++g)
        load_columns(reinterpret_cast<const std::byte*>(&rows[0][4 * g]), 64, t + 4 * g);
    for (int i = 0; i < 16; ++i)
        f[i] = floats(t[i]);
}
/// The trees of sixteen vectors, one per lane.
ALTIPLANO_LANES F16x trees(const F16x* x)
{
    F16x f[16];
    transpose16(x, f);  // so that the tree's steps add whole vectors
    for (int s = 8; s > 0; s /= 2)
        for (int i = 0; i < s; ++i)
            f[i] = f[i] + f[i + s];
    return f[0];
}

/// Fewer than sixteen; the lanes behind are zero.
ALTIPLANO_LANES F16x load_few(const float* p, std::int64_t n)
{
    float lanes[16] = {};
    for (std::int64_t i = 0; i < n; ++i)
        lanes[i] = p[i];
    return load16(lanes);
}
ALTIPLANO_LANES void store_few(float* p, F16x x, std::int64_t n)
{
    float lanes[16];
    store16(lanes, x);
    for (std::int64_t i = 0; i < n; ++i)
        p[i] = lanes[i];
}

// The functions of arithmetic.hpp.

ALTIPLANO_LANES F16x exp16(F16x x0)
{
    const auto x = if_greater(x0, all(exp_high), all(exp_high), x0);
    const auto z = x * all(log2_e) + all(nearest_magic);
    const auto n = z - all(nearest_magic);
    auto r = x - n * all(ln2_high);
    r = r - n * all(ln2_low);
    auto p = all(exp_c0) * r + all(exp_c1);
    p = p * r + all(exp_c2);
    p = p * r + all(exp_c3);
    p = p * r + all(exp_c4);
    p = p * r + all(exp_c5);
    p = p * (r * r);
    p = p + r;
    p = p + all(1.0F);
    const auto y = p * floats(left(bits(z), 23) + all(0x3f800000));
    return if_greater(all(exp_low), x0, all(0.0F), y);
}
ALTIPLANO_LANES F16x sigmoid16(F16x x)
{
    return all(1.0F) / (all(1.0F) + exp16(all(0.0F) - x));
}
ALTIPLANO_LANES F16x silu16(F16x x)
{
    return x / (all(1.0F) + exp16(all(0.0F) - x));
}
ALTIPLANO_LANES F16x tanh16(F16x x)
{
    return all(1.0F) - all(2.0F) / (exp16(x + x) + all(1.0F));
}
ALTIPLANO_LANES F16x gelu16(F16x x)
{
    auto u = (x * x) * x;
    u = u * all(gelu_cubic);
    u = u + x;
    u = u * all(gelu_slope);
    const auto t = all(1.0F) - all(2.0F) / (exp16(u) + all(1.0F));
    return (all(0.5F) * x) * (all(1.0F) + t);
}
ALTIPLANO_LANES F16x gelu_quick16(F16x x)
{
    return x * sigmoid16(all(1.702F) * x);
}
ALTIPLANO_LANES F16x clamp16(F16x x, F16x low, F16x high)
{
    return if_greater(low, x, low, if_greater(x, high, high, x));
}
ALTIPLANO_LANES F16x swiglu_oai16(F16x x0, F16x y, F16x alpha, F16x limit)
{
    const auto x = if_greater(x0, limit, limit, x0);
    return (x / (all(1.0F) + exp16(alpha * (all(0.0F) - x)))) * (clamp16(y, all(0.0F) - limit, limit) + all(1.0F));
}
/// Lane by lane, for what no instruction set here is asked for.
template <class Do> ALTIPLANO_LANES F16x each_lane(F16x x, Do f)
{
    float lanes[16];
    store16(lanes, x);
    for (auto& lane : lanes)
        lane = f(lane);
    return load16(lanes);
}
ALTIPLANO_LANES F16x relu16(F16x x)
{
    return if_greater(x, all(0.0F), x, all(0.0F));
}

}  // namespace
}  // namespace altiplano::kernels
