#pragma once

#include "kernels/card/grid.hpp"
#include "kernels/weights.hpp"

/// A block of 32 weights as eight words of four signed codes each: weights.hpp's weight_block, four codes at once. Rows lie on
/// even addresses.
namespace altiplano::kernels::card {

struct WordBlock {
    std::uint32_t word[8];
    float scale = 0.0F;
    float minimum = 0.0F;
    std::int32_t half_scale[2] = {1, 1};
    std::int32_t half_minimum[2] = {1, 1};
};

static inline std::uint32_t half_word(const std::byte* at)
{
    return *reinterpret_cast<const std::uint16_t*>(at);
}
static inline std::uint32_t word_at(const std::byte* at)
{
    return half_word(at) | (half_word(at + 2) << 16);
}
/// So many words from an even address on. Of two neighbours that are 18 bytes apart one lies on a word: both load whole words,
/// and the halves that are left over.
template <unsigned words> static inline void words_at(const std::byte* at, std::uint32_t* to)
{
    const bool whole = reinterpret_cast<std::uintptr_t>(at) % 4 == 0;
    const auto* inner = reinterpret_cast<const std::uint32_t*>(whole ? at : at + 2);
    std::uint32_t word[words];
    for (unsigned i = 0; i + 1 < words; ++i)
        word[i] = inner[i];
    // The last word, or the half of it that is not in those between.
    const auto ends = half_word(whole ? at + 4 * words - 4 : at) | (half_word(at + 4 * words - 2) << 16);
    word[words - 1] = ends >> 16;
    std::uint32_t before = ends << 16;
    for (unsigned i = 0; i + 1 < words; ++i) {
        to[i] = whole ? word[i] : (before >> 16) | (word[i] << 16);
        before = word[i];
    }
    to[words - 1] = whole ? ends : (before >> 16) | (ends & 0xffff0000U);
}
static inline float f16_at(const std::byte* at)
{
    return f16_to_f32(static_cast<std::uint16_t>(half_word(at)));
}
/// Takes `offset` off each of four small unsigned codes.
template <unsigned offset> static inline std::uint32_t less(std::uint32_t codes)
{
    return (codes + (128U - offset) * 0x01010101U) ^ 0x80808080U;
}
/// Four bits become the lowest of four bytes.
static inline std::uint32_t spread(std::uint32_t four)
{
    return ((four & 15U) * 0x00204081U) & 0x01010101U;
}
static inline std::uint32_t look_up_four(Codebook book, std::uint32_t nibbles)
{
    std::uint32_t found = 0;
    for (int i = 0; i < 32; i += 8)
        found |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(look_up(book, (nibbles >> i) & 15U))) << i;
    return found;
}

template <Type type> static inline WordBlock word_block(const std::byte* row, std::int64_t b)
{
    WordBlock w;
    constexpr std::uint32_t low = 0x0f0f0f0fU;
    if constexpr (type == Type::q4_0 || type == Type::q4_1 || type == Type::iq4_nl) {
        const auto* at = row + b * format_of(type).block_bytes;
        w.scale = f16_at(at);
        if (type == Type::q4_1)
            w.minimum = f16_at(at + 2);
        const auto* codes = at + (type == Type::q4_1 ? 4 : 2);
        std::uint32_t both[4];
        words_at<4>(codes, both);
        for (int i = 0; i < 4; ++i) {
            const auto first = both[i] & low;
            const auto second = (both[i] >> 4) & low;
            w.word[i] = type == Type::q4_1 ? first : type == Type::q4_0 ? less<8>(first) : look_up_four(iq4_codebook, first);
            w.word[i + 4] = type == Type::q4_1 ? second
                : type == Type::q4_0           ? less<8>(second)
                                               : look_up_four(iq4_codebook, second);
        }
    } else if constexpr (type == Type::q5_0 || type == Type::q5_1) {
        constexpr bool plain = type == Type::q5_0;
        const auto* at = row + b * format_of(type).block_bytes;
        w.scale = f16_at(at);
        if (!plain)
            w.minimum = f16_at(at + 2);
        const auto high = word_at(at + (plain ? 2 : 4));
        const auto* codes = at + (plain ? 6 : 8);
        std::uint32_t both[4];
        words_at<4>(codes, both);
        for (int i = 0; i < 4; ++i) {
            const auto first = (both[i] & low) | (spread(high >> (4 * i)) << 4);
            const auto second = ((both[i] >> 4) & low) | (spread(high >> (16 + 4 * i)) << 4);
            w.word[i] = plain ? less<16>(first) : first;
            w.word[i + 4] = plain ? less<16>(second) : second;
        }
    } else if constexpr (type == Type::q8_0) {
        const auto* at = row + b * 34;
        w.scale = f16_at(at);
        words_at<8>(at + 2, w.word);
    } else if constexpr (type == Type::q4_k || type == Type::q5_k) {
        const auto* at = row + b / 8 * format_of(type).block_bytes;
        const auto j = static_cast<int>(b % 8);
        const auto sub = sub_scale(at + 4, j);
        w.scale = f16_at(at) * static_cast<float>(sub.scale);
        w.minimum = 0.0F - f16_at(at + 2) * static_cast<float>(sub.minimum);
        const auto* codes = at + (type == Type::q4_k ? 16 : 48) + j / 2 * 32;
        std::uint32_t both[8];
        words_at<8>(codes, both);
        std::uint32_t fifth[8] = {};
        if (type == Type::q5_k)
            words_at<8>(at + 16, fifth);
        for (int i = 0; i < 8; ++i)
            w.word[i] = ((both[i] >> (4 * (j % 2))) & low) | (((fifth[i] >> j) & 0x01010101U) << 4);
    } else if constexpr (type == Type::q6_k) {
        const auto* at = row + b / 8 * 210;
        const auto half = b % 8 / 4;
        const auto group = static_cast<int>(b % 4);
        w.scale = f16_at(at + 208);
        const auto* nibbles = at + 64 * half + 32 * (group % 2);
        const auto* high = at + 128 + 32 * half;
        std::uint32_t both[8];
        std::uint32_t upper[8];
        words_at<8>(nibbles, both);
        words_at<8>(high, upper);
        for (int i = 0; i < 8; ++i)
            w.word[i] = less<32>(((both[i] >> (group < 2 ? 0 : 4)) & low) | (((upper[i] >> (2 * group)) & 0x03030303U) << 4));
        const auto* scales = at + 192 + 8 * half + 2 * group;
        w.half_scale[0] = load_as<std::int8_t>(scales);
        w.half_scale[1] = load_as<std::int8_t>(scales + 1);
    } else {
        // Seldom met: code by code, as the definition has them.
        const auto plain = weight_block(type, row, b);
        for (int i = 0; i < 8; ++i) {
            w.word[i] = 0;
            for (int e = 0; e < 4; ++e)
                w.word[i] |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(plain.code[4 * i + e])) << (8 * e);
        }
        w.scale = plain.scale;
        w.minimum = plain.minimum;
        for (int h = 0; h < 2; ++h) {
            w.half_scale[h] = plain.half_scale[h];
            w.half_minimum[h] = plain.half_minimum[h];
        }
    }
    return w;
}

constexpr bool has_minimum(Type type) noexcept
{
    return type == Type::q4_1 || type == Type::q5_1 || type == Type::q4_k || type == Type::q5_k;
}
constexpr bool has_half_scales(Type type) noexcept
{
    return type == Type::q6_k || type == Type::q2_k || type == Type::q3_k;
}

/// A block of activations.
struct alignas(16) FourWords {
    std::uint32_t word[4];
};
struct ActivationWords {
    FourWords half[2];
};
static inline ActivationWords activation_words(const Activations& a, std::int64_t column, std::int64_t block)
{
    const auto* codes = reinterpret_cast<const FourWords*>(a.codes + column * a.k + block * block_elements);
    return {{codes[0], codes[1]}};
}

/// Product of a block of weights with a block of activations, as docs/arithmetic.md §4 has it.
template <Type type>
static inline float block_product(
    const WordBlock& w, const Activations& a, const ActivationWords& x, std::int64_t column, std::int64_t block)
{
    const auto at = column * a.blocks + block;
    std::int32_t halves[2] = {0, 0};
    for (int i = 0; i < 4; ++i) {
        halves[0] = dot4(w.word[i], x.half[0].word[i], halves[0]);
        halves[1] = dot4(w.word[i + 4], x.half[1].word[i], halves[1]);
    }
    const auto sum = has_half_scales(type) ? w.half_scale[0] * halves[0] + w.half_scale[1] * halves[1] : halves[0] + halves[1];
    float p = static_cast<float>(sum) * (w.scale * a.scale[at]);
    if (has_minimum(type))
        p = p + w.minimum * a.scaled_sum[at];
    if (type == Type::q2_k) {
        const auto least = w.half_minimum[0] * a.half_sums[2 * at] + w.half_minimum[1] * a.half_sums[2 * at + 1];
        p = p + static_cast<float>(least) * (w.minimum * a.scale[at]);
    }
    return p;
}

}  // namespace altiplano::kernels::card
