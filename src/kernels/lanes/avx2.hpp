#pragma once

#include "kernels/node.hpp"

#include <immintrin.h>

/// Eight lanes of AVX2 with F16C. The vocabulary that lanes.hpp builds sixteen lanes from.
namespace altiplano::kernels {
namespace {

struct PieceF {
    __m256 v;
};
struct PieceI {
    __m256i v;
};
constexpr int piece_lanes = 8;
constexpr unsigned column_tile = 4;
constexpr int signed_bias = 0;  ///< what dot_half<8> takes its weights too large by
constexpr unsigned float_tile_rows = 2, float_tile_columns = 2;

inline PieceF load(const float* p)
{
    return {_mm256_loadu_ps(p)};
}
inline void store(float* p, PieceF x)
{
    _mm256_storeu_ps(p, x.v);
}
inline PieceF splat(float x)
{
    return {_mm256_set1_ps(x)};
}
inline PieceF operator+(PieceF a, PieceF b)
{
    return {_mm256_add_ps(a.v, b.v)};
}
inline PieceF operator-(PieceF a, PieceF b)
{
    return {_mm256_sub_ps(a.v, b.v)};
}
inline PieceF operator*(PieceF a, PieceF b)
{
    return {_mm256_mul_ps(a.v, b.v)};
}
inline PieceF operator/(PieceF a, PieceF b)
{
    return {_mm256_div_ps(a.v, b.v)};
}
inline PieceF if_greater(PieceF a, PieceF b, PieceF x, PieceF y)
{
    return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))};
}
inline PieceI bits(PieceF x)
{
    return {_mm256_castps_si256(x.v)};
}
inline PieceF floats(PieceI x)
{
    return {_mm256_castsi256_ps(x.v)};
}
inline PieceF to_float(PieceI x)
{
    return {_mm256_cvtepi32_ps(x.v)};
}

inline PieceI load(const std::int32_t* p)
{
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
inline void store(std::int32_t* p, PieceI x)
{
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v);
}
inline PieceI splat(std::int32_t x)
{
    return {_mm256_set1_epi32(x)};
}
inline PieceI operator+(PieceI a, PieceI b)
{
    return {_mm256_add_epi32(a.v, b.v)};
}
inline PieceI operator-(PieceI a, PieceI b)
{
    return {_mm256_sub_epi32(a.v, b.v)};
}
inline PieceI operator*(PieceI a, PieceI b)
{
    return {_mm256_mullo_epi32(a.v, b.v)};
}
inline PieceI operator&(PieceI a, PieceI b)
{
    return {_mm256_and_si256(a.v, b.v)};
}
inline PieceI operator|(PieceI a, PieceI b)
{
    return {_mm256_or_si256(a.v, b.v)};
}
inline PieceI left(PieceI a, int n)
{
    return {_mm256_sll_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI right(PieceI a, int n)
{
    return {_mm256_srl_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI right_signed(PieceI a, int n)
{
    return {_mm256_sra_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline PieceI larger(PieceI a, PieceI b)
{
    return {_mm256_max_epi32(a.v, b.v)};
}
inline std::int32_t sum(PieceI x)
{
    auto s = _mm_add_epi32(_mm256_castsi256_si128(x.v), _mm256_extracti128_si256(x.v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}
inline std::int32_t largest(PieceI x)
{
    auto m = _mm_max_epi32(_mm256_castsi256_si128(x.v), _mm256_extracti128_si256(x.v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
}
inline void store_codes(std::int8_t* p, PieceI x)
{
    const auto words = _mm_packs_epi32(_mm256_castsi256_si128(x.v), _mm256_extracti128_si256(x.v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
}

inline PieceF half_to_float(PieceI h)
{
    const auto low = _mm256_and_si256(h.v, _mm256_set1_epi32(0xffff));
    return {_mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)))};
}
inline PieceF load_half(const std::byte* p)
{
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}

inline void store_half(std::byte* p, PieceF x)
{
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT));
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
    return {_mm256_set_m128i(gather_four(p + 4 * stride, stride), gather_four(p, stride))};
}
inline PieceI load_row(const std::byte* p, std::int64_t stride, int k)
{
    const auto low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + k * stride));
    const auto high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + (k + 4) * stride));
    return {_mm256_set_m128i(high, low)};
}
inline void transpose(PieceI& a, PieceI& b, PieceI& c, PieceI& d)
{
    const auto ab_low = _mm256_unpacklo_epi32(a.v, b.v);
    const auto ab_high = _mm256_unpackhi_epi32(a.v, b.v);
    const auto cd_low = _mm256_unpacklo_epi32(c.v, d.v);
    const auto cd_high = _mm256_unpackhi_epi32(c.v, d.v);
    a.v = _mm256_unpacklo_epi64(ab_low, cd_low);
    b.v = _mm256_unpackhi_epi64(ab_low, cd_low);
    c.v = _mm256_unpacklo_epi64(ab_high, cd_high);
    d.v = _mm256_unpackhi_epi64(ab_high, cd_high);
}

/// Bits 4g to 4g + 3 of each lane become bit 4 of its four bytes, where there is none.
inline PieceI with_fifth_bits(PieceI codes, PieceI high, int g)
{
    const auto its_byte =
        _mm256_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0x00000000, 0x0c0c0c0c, 0x08080808, 0x04040404, 0x00000000);
    const auto bytes = _mm256_shuffle_epi8(high.v, _mm256_add_epi8(its_byte, _mm256_set1_epi8(static_cast<char>(g / 2))));
    const auto bit = _mm256_set1_epi32(g % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010));
    const auto is_set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
    return {_mm256_or_si256(codes.v, _mm256_and_si256(is_set, _mm256_set1_epi8(16)))};
}

/// Each byte, below 16, becomes the byte of that number of a codebook of sixteen.
inline PieceI look_up(PieceI x, std::uint64_t low, std::uint64_t high)
{
    const auto book = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
    return {_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(book), x.v)};
}

/// Pairs of products stay in 16 bits: 4 * 2 * 31 * 127 = 31,496 fits, so up to five bits one widening serves a half block.
/// Signed weights change the sign of the activations instead, since the instruction wants one side unsigned.
template <int Bits> inline PieceI dot_half(PieceI acc, const PieceI* w, const std::int8_t* q)
{
    const auto ones = _mm256_set1_epi16(1);
    const auto codes = [q](int g) {
        std::int32_t four;
        __builtin_memcpy(&four, q + 4 * g, 4);
        return _mm256_set1_epi32(four);
    };
    if constexpr (Bits <= 5) {
        auto sum = _mm256_maddubs_epi16(w[0].v, codes(0));
        for (int g = 1; g < 4; ++g)
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w[g].v, codes(g)));
        return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(sum, ones))};
    }
    for (int g = 0; g < 4; ++g) {
        const auto x = codes(g);
        const auto products = Bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w[g].v), _mm256_sign_epi8(x, w[g].v))
                                        : _mm256_maddubs_epi16(w[g].v, x);
        acc.v = _mm256_add_epi32(acc.v, _mm256_madd_epi16(products, ones));
    }
    return acc;
}

}  // namespace
}  // namespace altiplano::kernels
