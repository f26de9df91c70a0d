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
/// So many words from an even address on, as they were loaded. Of two neighbours that are 18 bytes apart one lies on a word: both
/// load whole words, and the halves that are left over.
template <unsigned words> struct LoadedWords {
    std::uint32_t inner[words - 1];
    std::uint32_t ends;  ///< the last word, or the halves that are not in those between
    bool whole;
};
template <unsigned words> static inline LoadedWords<words> load_words(const std::byte* at)
{
    LoadedWords<words> loaded;
    loaded.whole = reinterpret_cast<std::uintptr_t>(at) % 4 == 0;
    const auto* inner = reinterpret_cast<const std::uint32_t*>(loaded.whole ? at : at + 2);
    for (unsigned i = 0; i + 1 < words; ++i)
        loaded.inner[i] = inner[i];
    loaded.ends = half_word(loaded.whole ? at + 4 * words - 4 : at) | (half_word(at + 4 * words - 2) << 16);
    return loaded;
}
template <unsigned words> static inline void put_words(const LoadedWords<words>& loaded, std::uint32_t* to)
{
    std::uint32_t before = loaded.ends << 16;
    for (unsigned i = 0; i + 1 < words; ++i) {
        to[i] = loaded.whole ? loaded.inner[i] : (before >> 16) | (loaded.inner[i] << 16);
        before = loaded.inner[i];
    }
    to[words - 1] = loaded.whole ? loaded.ends : (before >> 16) | (loaded.ends & 0xffff0000U);
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

/// What is loaded of a block ahead of its turn; each format has its own of these.
struct LoadedBlock {
    LoadedWords<4> nibbles;
    LoadedWords<8> codes, upper;
    std::uint32_t scale, minimum, high;
};
template <Type type> static inline LoadedBlock load_block(const std::byte* row, std::int64_t b)
{
    LoadedBlock loaded;
    if constexpr (type == Type::q4_0 || type == Type::q4_1 || type == Type::iq4_nl || type == Type::q5_0 || type == Type::q5_1) {
        constexpr bool has_minimum = type == Type::q4_1 || type == Type::q5_1;
        constexpr bool has_high = type == Type::q5_0 || type == Type::q5_1;
        const auto* at = row + b * format_of(type).block_bytes;
        loaded.scale = half_word(at);
        at += 2;
        if (has_minimum) {
            loaded.minimum = half_word(at);
            at += 2;
        }
        if (has_high) {
            loaded.high = word_at(at);
            at += 4;
        }
        loaded.nibbles = load_words<4>(at);
    } else if constexpr (type == Type::q8_0) {
        loaded.scale = half_word(row + b * 34);
        loaded.codes = load_words<8>(row + b * 34 + 2);
    } else if constexpr (type == Type::q4_k || type == Type::q5_k) {
        const auto* at = row + b / 8 * format_of(type).block_bytes;
        loaded.codes = load_words<8>(at + (type == Type::q4_k ? 16 : 48) + b % 8 / 2 * 32);
        if (type == Type::q5_k)
            loaded.upper = load_words<8>(at + 16);
    } else if constexpr (type == Type::q6_k) {
        const auto* at = row + b / 8 * 210;
        loaded.codes = load_words<8>(at + b % 8 / 4 * 64 + b % 2 * 32);
        loaded.upper = load_words<8>(at + 128 + b % 8 / 4 * 32);
    }
    return loaded;
}

/// @param loaded  of this block
template <Type type> static inline WordBlock word_block(const LoadedBlock& loaded, const std::byte* row, std::int64_t b)
{
    const auto f16 = [](std::uint32_t half) { return f16_to_f32(static_cast<std::uint16_t>(half)); };
    WordBlock w;
    constexpr std::uint32_t low = 0x0f0f0f0fU;
    if constexpr (type == Type::q4_0 || type == Type::q4_1 || type == Type::iq4_nl) {
        w.scale = f16(loaded.scale);
        if (type == Type::q4_1)
            w.minimum = f16(loaded.minimum);
        std::uint32_t both[4];
        put_words(loaded.nibbles, both);
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
        w.scale = f16(loaded.scale);
        if (!plain)
            w.minimum = f16(loaded.minimum);
        std::uint32_t both[4];
        put_words(loaded.nibbles, both);
        for (int i = 0; i < 4; ++i) {
            const auto first = (both[i] & low) | (spread(loaded.high >> (4 * i)) << 4);
            const auto second = ((both[i] >> 4) & low) | (spread(loaded.high >> (16 + 4 * i)) << 4);
            w.word[i] = plain ? less<16>(first) : first;
            w.word[i + 4] = plain ? less<16>(second) : second;
        }
    } else if constexpr (type == Type::q8_0) {
        w.scale = f16(loaded.scale);
        put_words(loaded.codes, w.word);
    } else if constexpr (type == Type::q4_k || type == Type::q5_k) {
        const auto* at = row + b / 8 * format_of(type).block_bytes;
        const auto j = static_cast<int>(b % 8);
        const auto sub = sub_scale(at + 4, j);
        w.scale = f16_at(at) * static_cast<float>(sub.scale);
        w.minimum = 0.0F - f16_at(at + 2) * static_cast<float>(sub.minimum);
        std::uint32_t both[8];
        put_words(loaded.codes, both);
        std::uint32_t fifth[8] = {};
        if (type == Type::q5_k)
            put_words(loaded.upper, fifth);
        for (int i = 0; i < 8; ++i)
            w.word[i] = ((both[i] >> (4 * (j % 2))) & low) | (((fifth[i] >> j) & 0x01010101U) << 4);
    } else if constexpr (type == Type::q6_k) {
        const auto* at = row + b / 8 * 210;
        const auto half = b % 8 / 4;
        const auto group = static_cast<int>(b % 4);
        w.scale = f16_at(at + 208);
        std::uint32_t both[8];
        std::uint32_t upper[8];
        put_words(loaded.codes, both);
        put_words(loaded.upper, upper);
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
