#pragma once

#include "kernels/node.hpp"

#include <immintrin.h>

/// Sixteen lanes of AVX-512 with VNNI.
namespace altiplano::kernels {
namespace {

struct PieceF {
    __m512 v;
};
struct PieceI {
    __m512i v;
};
constexpr int piece_lanes = 16;
constexpr unsigned column_tile = 8;
constexpr int signed_bias = 128;  ///< what dot_half<8> takes its weights too large by
constexpr unsigned float_tile_rows = 4, float_tile_columns = 4;

inline PieceF load(const float* p)
{
    return {_mm512_loadu_ps(p)};
}
inline void store(float* p, PieceF x)
{
    _mm512_storeu_ps(p, x.v);
}
inline PieceF splat(float x)
{
    return {_mm512_set1_ps(x)};
}
inline PieceF operator+(PieceF a, PieceF b)
{
    return {_mm512_add_ps(a.v, b.v)};
}
inline PieceF operator-(PieceF a, PieceF b)
{
    return {_mm512_sub_ps(a.v, b.v)};
}
inline PieceF operator*(PieceF a, PieceF b)
{
    return {_mm512_mul_ps(a.v, b.v)};
}
inline PieceF operator/(PieceF a, PieceF b)
{
    return {_mm512_div_ps(a.v, b.v)};
}
inline PieceF if_greater(PieceF a, PieceF b, PieceF x, PieceF y)
{
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), y.v, x.v)};
}
inline PieceI bits(PieceF x)
{
    return {_mm512_castps_si512(x.v)};
}
inline PieceF floats(PieceI x)
{
    return {_mm512_castsi512_ps(x.v)};
}
inline PieceF to_float(PieceI x)
{
    return {_mm512_cvtepi32_ps(x.v)};
}

inline PieceI load(const std::int32_t* p)
{
    return {_mm512_loadu_si512(p)};
}
inline void store(std::int32_t* p, PieceI x)
{
    _mm512_storeu_si512(p, x.v);
}
inline PieceI splat(std::int32_t x)
{
    return {_mm512_set1_epi32(x)};
}
inline PieceI operator+(PieceI a, PieceI b)
{
    return {_mm512_add_epi32(a.v, b.v)};
}
inline PieceI operator-(PieceI a, PieceI b)
{
    return {_mm512_sub_epi32(a.v, b.v)};
}
inline PieceI operator*(PieceI a, PieceI b)
{
    return {_mm512_mullo_epi32(a.v, b.v)};
}
inline PieceI operator&(PieceI a, PieceI b)
{
    return {_mm512_and_si512(a.v, b.v)};
}
inline PieceI operator|(PieceI a, PieceI b)
{
    return {_mm512_or_si512(a.v, b.v)};
}
inline PieceI left(PieceI a, int n)
{
    return {_mm512_sll_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI right(PieceI a, int n)
{
    return {_mm512_srl_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI right_signed(PieceI a, int n)
{
    return {_mm512_sra_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI larger(PieceI a, PieceI b)
{
    return {_mm512_max_epi32(a.v, b.v)};
}
inline std::int32_t sum(PieceI x)
{
    return _mm512_reduce_add_epi32(x.v);
}
inline std::int32_t largest(PieceI x)
{
    return _mm512_reduce_max_epi32(x.v);
}
inline void store_codes(std::int8_t* p, PieceI x)
{
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x.v));
}

inline PieceF half_to_float(PieceI h)
{
    return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(h.v))};
}
inline PieceF load_half(const std::byte* p)
{
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}

inline void store_half(std::byte* p, PieceF x)
{
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT));
}

inline __m512i join(__m128i a, __m128i b, __m128i c, __m128i d)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(b, a)), _mm256_set_m128i(d, c), 1);
}
inline std::int32_t load_word(const std::byte* p)
{
    std::int32_t word;
    __builtin_memcpy(&word, p, 4);
    return word;
}
inline __m128i gather_four(const std::byte* p, std::int64_t stride)
{
    return _mm_insert_epi32(_mm_insert_epi32(_mm_insert_epi32(_mm_cvtsi32_si128(load_word(p)), load_word(p + stride), 1),
                                load_word(p + 2 * stride), 2),
        load_word(p + 3 * stride), 3);
}
inline PieceI gather(const std::byte* p, std::int64_t stride)
{
    return {join(gather_four(p, stride), gather_four(p + 4 * stride, stride), gather_four(p + 8 * stride, stride),
        gather_four(p + 12 * stride, stride))};
}
inline PieceI load_row(const std::byte* p, std::int64_t stride, int k)
{
    const auto at = [&](int row) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + row * stride)); };
    return {join(at(k), at(k + 4), at(k + 8), at(k + 12))};
}
inline void transpose(PieceI& a, PieceI& b, PieceI& c, PieceI& d)
{
    const auto ab_low = _mm512_unpacklo_epi32(a.v, b.v);
    const auto ab_high = _mm512_unpackhi_epi32(a.v, b.v);
    const auto cd_low = _mm512_unpacklo_epi32(c.v, d.v);
    const auto cd_high = _mm512_unpackhi_epi32(c.v, d.v);
    a.v = _mm512_unpacklo_epi64(ab_low, cd_low);
    b.v = _mm512_unpackhi_epi64(ab_low, cd_low);
    c.v = _mm512_unpacklo_epi64(ab_high, cd_high);
    d.v = _mm512_unpackhi_epi64(ab_high, cd_high);
}

/// Bits 4g to 4g + 3 of each lane become bit 4 of its four bytes, where there is none.
inline PieceI with_fifth_bits(PieceI codes, PieceI high, int g)
{
    const auto its_byte = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    const auto bytes = _mm512_shuffle_epi8(high.v, _mm512_add_epi8(its_byte, _mm512_set1_epi8(static_cast<char>(g / 2))));
    const auto bit = _mm512_set1_epi32(g % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010));
    return {_mm512_mask_add_epi8(codes.v, _mm512_test_epi8_mask(bytes, bit), codes.v, _mm512_set1_epi8(16))};
}

/// Each byte, below 16, becomes the byte of that number of a codebook of sixteen.
inline PieceI look_up(PieceI x, std::uint64_t low, std::uint64_t high)
{
    const auto book = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
    return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(book), x.v)};
}

/// The instruction wants unsigned weights: signed ones are taken 128 too large, and 128 times the activations' sum comes off.
template <int Bits> inline PieceI dot_half(PieceI acc, const PieceI* w, const std::int8_t* q)
{
    for (int g = 0; g < 4; ++g) {
        std::int32_t four;
        __builtin_memcpy(&four, q + 4 * g, 4);
        const auto codes = Bits == 8 ? _mm512_xor_si512(w[g].v, _mm512_set1_epi8(-128)) : w[g].v;
        acc.v = _mm512_dpbusd_epi32(acc.v, codes, _mm512_set1_epi32(four));
    }
    return acc;
}

}  // namespace
}  // namespace altiplano::kernels
