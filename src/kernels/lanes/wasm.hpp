#pragma once

#include "kernels/arithmetic.hpp"

#include <wasm_simd128.h>

/// Four lanes of wasm's SIMD128, without its relaxed instructions: the reference module.
namespace altiplano::kernels {
namespace {

struct PieceF {
    v128_t v;
};
struct PieceI {
    v128_t v;
};
constexpr int piece_lanes = 4;
constexpr unsigned column_tile = 4;
constexpr int signed_bias = 0;  ///< what dot_half<8> takes its weights too large by
constexpr unsigned float_tile_rows = 1, float_tile_columns = 2;

inline PieceF load(const float* p)
{
    return {wasm_v128_load(p)};
}
inline void store(float* p, PieceF x)
{
    wasm_v128_store(p, x.v);
}
inline PieceF splat(float x)
{
    return {wasm_f32x4_splat(x)};
}
inline PieceF operator+(PieceF a, PieceF b)
{
    return {wasm_f32x4_add(a.v, b.v)};
}
inline PieceF operator-(PieceF a, PieceF b)
{
    return {wasm_f32x4_sub(a.v, b.v)};
}
inline PieceF operator*(PieceF a, PieceF b)
{
    return {wasm_f32x4_mul(a.v, b.v)};
}
inline PieceF operator/(PieceF a, PieceF b)
{
    return {wasm_f32x4_div(a.v, b.v)};
}
inline PieceF if_greater(PieceF a, PieceF b, PieceF x, PieceF y)
{
    return {wasm_v128_bitselect(x.v, y.v, wasm_f32x4_gt(a.v, b.v))};
}
inline PieceI bits(PieceF x)
{
    return {x.v};
}
inline PieceF floats(PieceI x)
{
    return {x.v};
}
inline PieceF to_float(PieceI x)
{
    return {wasm_f32x4_convert_i32x4(x.v)};
}

inline PieceI load(const std::int32_t* p)
{
    return {wasm_v128_load(p)};
}
inline void store(std::int32_t* p, PieceI x)
{
    wasm_v128_store(p, x.v);
}
inline PieceI splat(std::int32_t x)
{
    return {wasm_i32x4_splat(x)};
}
inline PieceI operator+(PieceI a, PieceI b)
{
    return {wasm_i32x4_add(a.v, b.v)};
}
inline PieceI operator-(PieceI a, PieceI b)
{
    return {wasm_i32x4_sub(a.v, b.v)};
}
inline PieceI operator*(PieceI a, PieceI b)
{
    return {wasm_i32x4_mul(a.v, b.v)};
}
inline PieceI operator&(PieceI a, PieceI b)
{
    return {wasm_v128_and(a.v, b.v)};
}
inline PieceI operator|(PieceI a, PieceI b)
{
    return {wasm_v128_or(a.v, b.v)};
}
inline PieceI left(PieceI a, int n)
{
    return {wasm_i32x4_shl(a.v, static_cast<std::uint32_t>(n))};
}
inline PieceI right(PieceI a, int n)
{
    return {wasm_u32x4_shr(a.v, static_cast<std::uint32_t>(n))};
}
inline PieceI right_signed(PieceI a, int n)
{
    return {wasm_i32x4_shr(a.v, static_cast<std::uint32_t>(n))};
}
inline PieceI larger(PieceI a, PieceI b)
{
    return {wasm_i32x4_max(a.v, b.v)};
}
inline std::int32_t sum(PieceI x)
{
    const auto s = wasm_i32x4_add(x.v, wasm_i64x2_shuffle(x.v, x.v, 1, 0));
    return wasm_i32x4_extract_lane(s, 0) + wasm_i32x4_extract_lane(s, 1);
}
inline std::int32_t largest(PieceI x)
{
    const auto m = wasm_i32x4_max(x.v, wasm_i64x2_shuffle(x.v, x.v, 1, 0));
    const auto a = wasm_i32x4_extract_lane(m, 0);
    const auto b = wasm_i32x4_extract_lane(m, 1);
    return a > b ? a : b;
}
inline void store_codes(std::int8_t* p, PieceI x)
{
    const auto words = wasm_i16x8_narrow_i32x4(x.v, x.v);
    const auto bytes = wasm_i32x4_extract_lane(wasm_i8x16_narrow_i16x8(words, words), 0);
    __builtin_memcpy(p, &bytes, 4);
}

inline PieceF half_to_float(PieceI h)
{
    const auto magnitude = wasm_v128_and(h.v, wasm_i32x4_splat(0x7fff));
    const auto sign = wasm_i32x4_shl(wasm_v128_and(h.v, wasm_i32x4_splat(0x8000)), 16);
    const auto scaled = wasm_f32x4_mul(wasm_i32x4_shl(magnitude, 13), wasm_f32x4_splat(0x1p112F));
    const auto special = wasm_v128_and(wasm_i32x4_gt(magnitude, wasm_i32x4_splat(0x7bff)), wasm_i32x4_splat(0x7f800000));
    return {wasm_v128_or(wasm_v128_or(scaled, special), sign)};
}
inline PieceF load_half(const std::byte* p)
{
    return half_to_float({wasm_u32x4_load16x4(p)});
}

/// To the nearest even.
inline void store_half(std::byte* p, PieceF x)
{
    float lanes[piece_lanes];
    store(lanes, x);
    for (int i = 0; i < piece_lanes; ++i)
        store_as(p + 2 * i, f32_to_f16(lanes[i]));
}

inline PieceI gather(const std::byte* p, std::int64_t stride)
{
    auto words = wasm_v128_load32_zero(p);
    words = wasm_v128_load32_lane(p + stride, words, 1);
    words = wasm_v128_load32_lane(p + 2 * stride, words, 2);
    return {wasm_v128_load32_lane(p + 3 * stride, words, 3)};
}
inline PieceI load_row(const std::byte* p, std::int64_t stride, int k)
{
    return {wasm_v128_load(p + k * stride)};
}
inline void transpose(PieceI& a, PieceI& b, PieceI& c, PieceI& d)
{
    const auto ab_low = wasm_i32x4_shuffle(a.v, b.v, 0, 4, 1, 5);
    const auto ab_high = wasm_i32x4_shuffle(a.v, b.v, 2, 6, 3, 7);
    const auto cd_low = wasm_i32x4_shuffle(c.v, d.v, 0, 4, 1, 5);
    const auto cd_high = wasm_i32x4_shuffle(c.v, d.v, 2, 6, 3, 7);
    a.v = wasm_i64x2_shuffle(ab_low, cd_low, 0, 2);
    b.v = wasm_i64x2_shuffle(ab_low, cd_low, 1, 3);
    c.v = wasm_i64x2_shuffle(ab_high, cd_high, 0, 2);
    d.v = wasm_i64x2_shuffle(ab_high, cd_high, 1, 3);
}

/// Bits 4g to 4g + 3 of each lane become bit 4 of its four bytes, where there is none.
inline PieceI with_fifth_bits(PieceI codes, PieceI high, int g)
{
    // Four bits become the lowest of four bytes: the products do not overlap.
    const auto four = right(high, 4 * g) & splat(15);
    return codes | left((four * splat(0x00204081)) & splat(0x01010101), 4);
}

/// Each byte, below 16, becomes the byte of that number of a codebook of sixteen.
inline PieceI look_up(PieceI x, std::uint64_t low, std::uint64_t high)
{
    return {wasm_i8x16_swizzle(wasm_u64x2_make(low, high), x.v)};
}

/// Even and odd bytes apart, in 16 bits: then one instruction multiplies and adds pairs. Compilers keep both halves of the
/// weights for all columns, and those of the activations for all rows.
template <int Bits> inline PieceI dot_half(PieceI acc, const PieceI* w, const std::int8_t* q)
{
    for (int g = 0; g < 4; ++g) {
        const auto x = wasm_v128_load32_splat(q + 4 * g);
        const auto even = wasm_i16x8_shr(wasm_i16x8_shl(x, 8), 8);
        const auto odd = wasm_i16x8_shr(x, 8);
        const auto w_even =
            Bits == 8 ? wasm_i16x8_shr(wasm_i16x8_shl(w[g].v, 8), 8) : wasm_v128_and(w[g].v, wasm_i16x8_splat(0x00ff));
        const auto w_odd = Bits == 8 ? wasm_i16x8_shr(w[g].v, 8) : wasm_u16x8_shr(w[g].v, 8);
        acc = acc + PieceI{wasm_i32x4_add(wasm_i32x4_dot_i16x8(w_even, even), wasm_i32x4_dot_i16x8(w_odd, odd))};
    }
    return acc;
}

}  // namespace
}  // namespace altiplano::kernels
