#pragma once

#include "kernels/node.hpp"

/// The scalar functions of the contract (docs/arithmetic.md §3): IEEE binary32, round to nearest even, operations exactly as
/// written, no fused multiply-add. `static`, so that no object compiled for one instruction set lends its copy to another.
namespace altiplano::kernels {

inline constexpr float nearest_magic = 12582912.0F;  ///< 1.5 * 2^23: (x + it) - it is x to the nearest even, |x| < 2^22
inline constexpr float smallest_amax = 0x1p-100F;  ///< below it a block quantises to zero: 127 / amax would overflow
inline constexpr std::int64_t segment_blocks = 16;  ///< blocks whose products are summed before they join the total
inline constexpr std::int64_t segment_cells = 256;  ///< cells of an attention segment
inline constexpr std::uint32_t infinity_bits = 0x7f800000U;
inline constexpr std::int64_t cell_group = 16;  ///< cells whose keys and values must all be finite if one of them is seen
inline constexpr std::int64_t head_max = 256;  ///< width of an attention head

inline constexpr float exp_low = -87.0F, exp_high = 88.0F;
inline constexpr float log2_e = 1.44269504088896341F, ln2_high = 0.693359375F, ln2_low = -2.12194440e-4F;
inline constexpr float exp_c0 = 1.9875691500e-4F, exp_c1 = 1.3981999507e-3F, exp_c2 = 8.3334519073e-3F, exp_c3 = 4.1665795894e-2F,
                       exp_c4 = 1.6666665459e-1F, exp_c5 = 5.0000001201e-1F;
inline constexpr float gelu_cubic = 0.044715F, gelu_slope = 1.5957691216057308F;  ///< the latter is 2 * sqrt(2 / pi)

static inline bool is_finite(float x)
{
    return (bits_of(x) & infinity_bits) != infinity_bits;
}

/// Of what may pass infinities on (`may_be_infinite`): all but numbers that are none.
static inline bool is_number(float x)
{
    return (bits_of(x) & 0x7fffffffU) <= infinity_bits;
}
/// Whether `x` may be an element of the operation's F32 result.
static inline bool may_stand(Op op, float x)
{
    return may_be_infinite(op) ? is_number(x) : is_finite(x);
}

/// 0 below -87, that of 88 above 88; exp(0) is 1.
static inline float exp_of(float x)
{
    if (x < exp_low)
        return 0.0F;
    if (x > exp_high)
        x = exp_high;
    const float z = x * log2_e + nearest_magic;
    const float n = z - nearest_magic;
    float r = x - n * ln2_high;
    r = r - n * ln2_low;
    float p = exp_c0 * r + exp_c1;
    p = p * r + exp_c2;
    p = p * r + exp_c3;
    p = p * r + exp_c4;
    p = p * r + exp_c5;
    p = p * (r * r);
    p = p + r;
    p = p + 1.0F;
    return p * float_of((bits_of(z) << 23) + 0x3f800000U);
}

static inline float sigmoid_of(float x)
{
    return 1.0F / (1.0F + exp_of(0.0F - x));
}
static inline float silu_of(float x)
{
    return x / (1.0F + exp_of(0.0F - x));
}
static inline float tanh_of(float x)
{
    return 1.0F - 2.0F / (exp_of(x + x) + 1.0F);
}
/// The tanh form.
static inline float gelu_of(float x)
{
    float u = (x * x) * x;
    u = u * gelu_cubic;
    u = u + x;
    u = u * gelu_slope;
    const float t = 1.0F - 2.0F / (exp_of(u) + 1.0F);
    return (0.5F * x) * (1.0F + t);
}
static inline float relu_of(float x)
{
    return x > 0.0F ? x : 0.0F;
}

static inline float gelu_quick_of(float x)
{
    return x * sigmoid_of(1.702F * x);
}
/// x where it is not a number.
static inline float clamp_of(float x, float low, float high)
{
    return low > x ? low : x > high ? high : x;
}
static inline float swiglu_oai_of(float x, float y, float alpha, float limit)
{
    x = x > limit ? limit : x;
    return (x / (1.0F + exp_of(alpha * (0.0F - x)))) * (clamp_of(y, 0.0F - limit, limit) + 1.0F);
}

/// Exact.
static inline float f16_to_f32(std::uint16_t h)
{
    const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000U) << 16;
    const std::uint32_t magnitude = h & 0x7fffU;
    std::uint32_t bits = bits_of(float_of(magnitude << 13) * 0x1p112F);
    if (magnitude >= 0x7c00U)
        bits |= infinity_bits;
    return float_of(bits | sign);
}
/// To the nearest even; too large becomes infinite.
static inline std::uint16_t f32_to_f16(float x)
{
    std::uint32_t bits = bits_of(x);
    const std::uint32_t sign = (bits >> 16) & 0x8000U;
    bits &= 0x7fffffffU;
    if (bits > infinity_bits)
        return static_cast<std::uint16_t>(sign | 0x7e00U);
    if (bits >= 0x477ff000U)
        return static_cast<std::uint16_t>(sign | 0x7c00U);
    if (bits < 0x38800000U)  // a denormal: the last place of 0.5 is 2^-24
        return static_cast<std::uint16_t>(sign | (bits_of(float_of(bits) + 0.5F) - 0x3f000000U));
    bits += 0xfffU + ((bits >> 13) & 1U);
    return static_cast<std::uint16_t>(sign | ((bits - 0x38000000U) >> 13));
}
/// Whether a mask lets its cell be seen: it is above minus infinity.
static inline bool is_seen(std::uint16_t mask)
{
    return mask != 0xfc00 && (mask & 0x7fffU) <= 0x7c00U;
}
static inline float bf16_to_f32(std::uint16_t h)
{
    return float_of(static_cast<std::uint32_t>(h) << 16);
}

/// L_i += L_{i+s} for i < s, for s = 8, 4, 2, 1; L_0.
static inline float tree(float* lanes)
{
    for (int s = 8; s > 0; s /= 2)
        for (int i = 0; i < s; ++i)
            lanes[i] = lanes[i] + lanes[i + s];
    return lanes[0];
}

/// Part of [0, n) that a share does.
struct Range {
    std::int64_t begin, end;
};
static inline Range part_of(std::int64_t n, Share share)
{
    return {n * share.index / share.count, n * (share.index + 1) / share.count};
}

template <class T> static inline T load_as(const std::byte* from)
{
    T value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}
/// Floats lie on multiples of four (docs/arithmetic.md §7). Stored byte by byte, NVIDIA's compiler loses the lowest one.
template <class T> static inline void store_as(std::byte* to, T value)
{
    if constexpr (__is_same(T, float))
        __builtin_memcpy(__builtin_assume_aligned(to, alignof(float)), &value, sizeof value);
    else
        __builtin_memcpy(to, &value, sizeof value);
}

/// Where row (i1, i2, i3) begins.
static inline std::byte* row_of(const Tensor& t, std::int64_t i1, std::int64_t i2 = 0, std::int64_t i3 = 0)
{
    return t.data + i1 * t.stride[1] + i2 * t.stride[2] + i3 * t.stride[3];
}
static inline std::int64_t rows_of(const Tensor& t)
{
    return t.extent[1] * t.extent[2] * t.extent[3];
}
/// Row r of a tensor's rows, by its three indices.
struct RowIndex {
    std::int64_t i1, i2, i3;
};
static inline RowIndex row_index(const Tensor& t, std::int64_t r)
{
    return {r % t.extent[1], r / t.extent[1] % t.extent[2], r / t.extent[1] / t.extent[2]};
}
static inline std::int64_t index_at(const Tensor& t, std::int64_t i0, std::int64_t i1 = 0, std::int64_t i2 = 0)
{
    const auto* at = t.data + i0 * t.stride[0] + i1 * t.stride[1] + i2 * t.stride[2];
    return t.type == Type::i64 ? load_as<std::int64_t>(at) : load_as<std::int32_t>(at);
}

}  // namespace altiplano::kernels
