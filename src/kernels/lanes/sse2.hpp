#pragma once

#include "kernels/arithmetic.hpp"

#include <emmintrin.h>

/// Four lanes of SSE2, which every x86-64 has. The vocabulary that lanes.hpp builds sixteen lanes from.
namespace altiplano::kernels {
namespace {

struct PieceF {
    __m128 v;
};
struct PieceI {
    __m128i v;
};
constexpr int piece_lanes = 4;
constexpr unsigned column_tile = 4;  ///< columns of activations that meet a panel of weights at once
constexpr int signed_bias = 0;  ///< what dot_half<8> takes its weights too large by
constexpr unsigned float_tile_rows = 1, float_tile_columns = 2;

inline PieceF load(const float* p)
{
    return {_mm_loadu_ps(p)};
}
inline void store(float* p, PieceF x)
{
    _mm_storeu_ps(p, x.v);
}
inline PieceF splat(float x)
{
    return {_mm_set1_ps(x)};
}
inline PieceF operator+(PieceF a, PieceF b)
{
    return {_mm_add_ps(a.v, b.v)};
}
inline PieceF operator-(PieceF a, PieceF b)
{
    return {_mm_sub_ps(a.v, b.v)};
}
inline PieceF operator*(PieceF a, PieceF b)
{
    return {_mm_mul_ps(a.v, b.v)};
}
inline PieceF operator/(PieceF a, PieceF b)
{
    return {_mm_div_ps(a.v, b.v)};
}
/// a > b ? x : y
inline PieceF if_greater(PieceF a, PieceF b, PieceF x, PieceF y)
{
    const auto m = _mm_cmpgt_ps(a.v, b.v);
    return {_mm_or_ps(_mm_and_ps(m, x.v), _mm_andnot_ps(m, y.v))};
}
inline PieceI bits(PieceF x)
{
    return {_mm_castps_si128(x.v)};
}
inline PieceF floats(PieceI x)
{
    return {_mm_castsi128_ps(x.v)};
}
inline PieceF to_float(PieceI x)
{
    return {_mm_cvtepi32_ps(x.v)};
}

inline PieceI load(const std::int32_t* p)
{
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))};
}
inline void store(std::int32_t* p, PieceI x)
{
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x.v);
}
inline PieceI splat(std::int32_t x)
{
    return {_mm_set1_epi32(x)};
}
inline PieceI operator+(PieceI a, PieceI b)
{
    return {_mm_add_epi32(a.v, b.v)};
}
inline PieceI operator-(PieceI a, PieceI b)
{
    return {_mm_sub_epi32(a.v, b.v)};
}
inline PieceI operator*(PieceI a, PieceI b)
{
    const auto even = _mm_mul_epu32(a.v, b.v);
    const auto odd = _mm_mul_epu32(_mm_srli_epi64(a.v, 32), _mm_srli_epi64(b.v, 32));
    return {_mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08))};
}
inline PieceI operator&(PieceI a, PieceI b)
{
    return {_mm_and_si128(a.v, b.v)};
}
inline PieceI operator|(PieceI a, PieceI b)
{
    return {_mm_or_si128(a.v, b.v)};
}
inline PieceI left(PieceI a, int n)
{
    return {_mm_sll_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI right(PieceI a, int n)
{
    return {_mm_srl_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI right_signed(PieceI a, int n)
{
    return {_mm_sra_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI larger(PieceI a, PieceI b)
{
    const auto m = _mm_cmpgt_epi32(a.v, b.v);
    return {_mm_or_si128(_mm_and_si128(m, a.v), _mm_andnot_si128(m, b.v))};
}
/// Of all lanes.
inline std::int32_t sum(PieceI x)
{
    const auto s = x + PieceI{_mm_shuffle_epi32(x.v, 0x4e)};
    return _mm_cvtsi128_si32((s + PieceI{_mm_shuffle_epi32(s.v, 0xb1)}).v);
}
inline std::int32_t largest(PieceI x)
{
    const auto m = larger(x, {_mm_shuffle_epi32(x.v, 0x4e)});
    return _mm_cvtsi128_si32(larger(m, {_mm_shuffle_epi32(m.v, 0xb1)}).v);
}
/// The low byte of each lane.
inline void store_codes(std::int8_t* p, PieceI x)
{
    const auto words = _mm_packs_epi32(x.v, x.v);
    const auto bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
    __builtin_memcpy(p, &bytes, 4);
}

/// A binary16 in the low half of each lane; the high half is ignored.
inline PieceF half_to_float(PieceI h)
{
    const auto magnitude = _mm_and_si128(h.v, _mm_set1_epi32(0x7fff));
    const auto sign = _mm_slli_epi32(_mm_and_si128(h.v, _mm_set1_epi32(0x8000)), 16);
    const auto scaled = _mm_mul_ps(_mm_castsi128_ps(_mm_slli_epi32(magnitude, 13)), _mm_set1_ps(0x1p112F));
    const auto special = _mm_and_si128(_mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff)), _mm_set1_epi32(0x7f800000));
    return {_mm_castsi128_ps(_mm_or_si128(_mm_or_si128(_mm_castps_si128(scaled), special), sign))};
}
inline PieceF load_half(const std::byte* p)
{
    return half_to_float({_mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)), _mm_setzero_si128())});
}

/// To the nearest even.
inline void store_half(std::byte* p, PieceF x)
{
    float lanes[piece_lanes];
    store(lanes, x);
    for (int i = 0; i < piece_lanes; ++i)
        store_as(p + 2 * i, f32_to_f16(lanes[i]));
}

inline __m128i load_word(const std::byte* p)
{
    std::int32_t word;
    __builtin_memcpy(&word, p, 4);
    return _mm_cvtsi32_si128(word);
}
/// Four bytes at p, p + stride, ...
inline PieceI gather(const std::byte* p, std::int64_t stride)
{
    const auto a = _mm_unpacklo_epi32(load_word(p), load_word(p + stride));
    const auto b = _mm_unpacklo_epi32(load_word(p + 2 * stride), load_word(p + 3 * stride));
    return {_mm_unpacklo_epi64(a, b)};
}
/// Sixteen bytes of each row, first of the rows k, k + 4, ... of this piece.
inline PieceI load_row(const std::byte* p, std::int64_t stride, int k)
{
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + k * stride))};
}
/// In every group of four lanes: rows become columns.
inline void transpose(PieceI& a, PieceI& b, PieceI& c, PieceI& d)
{
    const auto ab_low = _mm_unpacklo_epi32(a.v, b.v);
    const auto ab_high = _mm_unpackhi_epi32(a.v, b.v);
    const auto cd_low = _mm_unpacklo_epi32(c.v, d.v);
    const auto cd_high = _mm_unpackhi_epi32(c.v, d.v);
    a.v = _mm_unpacklo_epi64(ab_low, cd_low);
    b.v = _mm_unpackhi_epi64(ab_low, cd_low);
    c.v = _mm_unpacklo_epi64(ab_high, cd_high);
    d.v = _mm_unpackhi_epi64(ab_high, cd_high);
}

// Dot products of four bytes per lane with the same four of the activations. `Bits`: of the unsigned weights; 8 means signed.

inline __m128i pairs_of(__m128i sixteen_low, __m128i sixteen_high)  // sums of neighbours, all lanes' first pairs then second
{
    const auto low = _mm_castsi128_ps(sixteen_low);
    const auto high = _mm_castsi128_ps(sixteen_high);
    return _mm_add_epi32(_mm_castps_si128(_mm_shuffle_ps(low, high, 0x88)), _mm_castps_si128(_mm_shuffle_ps(low, high, 0xdd)));
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
    std::uint8_t bytes[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), x.v);
    for (auto& byte : bytes)
        byte = static_cast<std::uint8_t>((byte < 8 ? low : high) >> (8 * (byte % 8)));
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))};
}

/// acc + Σ over four groups of four bytes.
template <int Bits> inline PieceI dot_half(PieceI acc, const PieceI* w, const std::int8_t* q)
{
    for (int g = 0; g < 4; ++g) {
        std::int32_t four;
        __builtin_memcpy(&four, q + 4 * g, 4);
        const auto codes = _mm_set1_epi32(four);
        const auto x = _mm_srai_epi16(_mm_unpacklo_epi8(codes, codes), 8);
        const auto low =
            Bits == 8 ? _mm_srai_epi16(_mm_unpacklo_epi8(w[g].v, w[g].v), 8) : _mm_unpacklo_epi8(w[g].v, _mm_setzero_si128());
        const auto high =
            Bits == 8 ? _mm_srai_epi16(_mm_unpackhi_epi8(w[g].v, w[g].v), 8) : _mm_unpackhi_epi8(w[g].v, _mm_setzero_si128());
        acc.v = _mm_add_epi32(acc.v, pairs_of(_mm_madd_epi16(low, x), _mm_madd_epi16(high, x)));
    }
    return acc;
}

}  // namespace
}  // namespace altiplano::kernels
