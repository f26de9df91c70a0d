#pragma once

#include "kernels/arithmetic.hpp"

/// Blocks of 32 weights as docs/arithmetic.md §2 defines them: the scalar definition, straight from the bytes.
namespace altiplano::kernels {

/// Weight i is half_scale[i / 16] * code[i] * scale + minimum; where halves have minima of their own, half_minimum[i / 16] *
/// minimum stands in its place.
struct WeightBlock {
    float scale = 0.0F;
    float minimum = 0.0F;
    bool has_minimum = false;
    bool has_half_minima = false;
    std::int32_t half_scale[2] = {1, 1};
    std::int32_t half_minimum[2] = {1, 1};
    std::int8_t code[32] = {};
};

static inline std::uint32_t byte_at(const std::byte* from, std::int64_t i)
{
    return std::to_integer<std::uint32_t>(from[i]);
}

/// Scale and minimum of sub-block j of eight, six bits each in twelve bytes.
struct SubScale {
    std::uint32_t scale, minimum;
};
static inline SubScale sub_scale(const std::byte* twelve, std::int64_t j)
{
    if (j < 4)
        return {byte_at(twelve, j) & 63U, byte_at(twelve, j + 4) & 63U};
    const auto low = byte_at(twelve, j + 4);
    return {(low & 15U) | ((byte_at(twelve, j - 4) >> 6) << 4), (low >> 4) | ((byte_at(twelve, j) >> 6) << 4)};
}

static inline std::int8_t code_of(std::uint32_t bits, int offset)
{
    return static_cast<std::int8_t>(static_cast<int>(bits) - offset);
}

/// The sixteen values of a codebook, a byte each, the first in the lowest: no table, since a reference module has no data.
struct Codebook {
    std::uint64_t low, high;
};
inline constexpr Codebook iq4_codebook{0xf6eaddcfbfad9881U, 0x7159453526190d01U};
inline constexpr Codebook mxfp4_codebook{0x0c08060403020100U, 0xf4f8fafcfdfeff00U};
static inline std::int8_t look_up(Codebook book, std::uint32_t nibble)
{
    return static_cast<std::int8_t>((nibble < 8 ? book.low : book.high) >> (8 * (nibble % 8)));
}
/// A power of two from its exponent in a byte, halved: the codes of the format are twice its numbers.
static inline float half_power(std::uint32_t exponent)
{
    return float_of(exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23);
}

/// Block `b` of a row.
static inline WeightBlock weight_block(Type type, const std::byte* row, std::int64_t b)
{
    WeightBlock w;
    const auto f16 = [](const std::byte* at) { return f16_to_f32(load_as<std::uint16_t>(at)); };
    switch (type) {
    case Type::q4_0:
    case Type::q4_1: {
        const auto* at = row + b * format_of(type).block_bytes;
        w.scale = f16(at);
        w.has_minimum = type == Type::q4_1;
        if (w.has_minimum)
            w.minimum = f16(at + 2);
        const auto* codes = at + (w.has_minimum ? 4 : 2);
        for (int i = 0; i < 16; ++i) {
            w.code[i] = code_of(byte_at(codes, i) & 15U, w.has_minimum ? 0 : 8);
            w.code[i + 16] = code_of(byte_at(codes, i) >> 4, w.has_minimum ? 0 : 8);
        }
        return w;
    }
    case Type::q5_0:
    case Type::q5_1: {
        const auto* at = row + b * format_of(type).block_bytes;
        w.scale = f16(at);
        w.has_minimum = type == Type::q5_1;
        if (w.has_minimum)
            w.minimum = f16(at + 2);
        const auto high = load_as<std::uint32_t>(at + (w.has_minimum ? 4 : 2));
        const auto* codes = at + (w.has_minimum ? 8 : 6);
        for (int i = 0; i < 16; ++i) {
            w.code[i] = code_of((byte_at(codes, i) & 15U) | (((high >> i) & 1U) << 4), w.has_minimum ? 0 : 16);
            w.code[i + 16] = code_of((byte_at(codes, i) >> 4) | (((high >> (i + 16)) & 1U) << 4), w.has_minimum ? 0 : 16);
        }
        return w;
    }
    case Type::q8_0: {
        const auto* at = row + b * 34;
        w.scale = f16(at);
        __builtin_memcpy(w.code, at + 2, 32);
        return w;
    }
    case Type::q4_k:
    case Type::q5_k: {
        const auto* at = row + b / 8 * format_of(type).block_bytes;
        const auto j = b % 8;
        const auto sub = sub_scale(at + 4, j);
        w.scale = f16(at) * static_cast<float>(sub.scale);
        w.minimum = 0.0F - f16(at + 2) * static_cast<float>(sub.minimum);
        w.has_minimum = true;
        const auto* codes = at + (type == Type::q4_k ? 16 : 48) + j / 2 * 32;
        for (int i = 0; i < 32; ++i) {
            auto bits = j % 2 != 0 ? byte_at(codes, i) >> 4 : byte_at(codes, i) & 15U;
            if (type == Type::q5_k)
                bits |= ((byte_at(at + 16, i) >> j) & 1U) << 4;
            w.code[i] = code_of(bits, 0);
        }
        return w;
    }
    case Type::q6_k: {
        const auto* at = row + b / 8 * 210;
        const auto half = b % 8 / 4;
        const auto group = b % 4;
        w.scale = f16(at + 208);
        const auto* low = at + 64 * half + 32 * (group % 2);
        const auto* high = at + 128 + 32 * half;
        for (int i = 0; i < 32; ++i) {
            const auto nibble = group < 2 ? byte_at(low, i) & 15U : byte_at(low, i) >> 4;
            w.code[i] = code_of(nibble | (((byte_at(high, i) >> (2 * group)) & 3U) << 4), 32);
        }
        const auto* scales = at + 192 + 8 * half + 2 * group;
        w.half_scale[0] = load_as<std::int8_t>(scales);
        w.half_scale[1] = load_as<std::int8_t>(scales + 1);
        return w;
    }
    case Type::q2_k: {
        const auto* at = row + b / 8 * 84;
        const auto half = b % 8 / 4;
        const auto group = b % 4;
        w.scale = f16(at + 80);
        w.minimum = 0.0F - f16(at + 82);
        w.has_half_minima = true;
        for (int i = 0; i < 32; ++i)
            w.code[i] = code_of((byte_at(at + 16 + 32 * half, i) >> (2 * group)) & 3U, 0);
        for (int h = 0; h < 2; ++h) {
            const auto both = byte_at(at, 8 * half + 2 * group + h);
            w.half_scale[h] = static_cast<std::int32_t>(both & 15U);
            w.half_minimum[h] = static_cast<std::int32_t>(both >> 4);
        }
        return w;
    }
    case Type::q3_k: {
        const auto* at = row + b / 8 * 110;
        const auto j = b % 8;
        const auto* low = at + 32 + 32 * (j / 4);
        w.scale = f16(at + 108);
        for (int i = 0; i < 32; ++i)
            w.code[i] = code_of(((byte_at(low, i) >> (2 * (j % 4))) & 3U) | (((byte_at(at, i) >> j) & 1U) << 2), 4);
        for (int h = 0; h < 2; ++h) {
            const auto s = 2 * j + h;
            const auto nibble = s < 8 ? byte_at(at + 96, s) & 15U : byte_at(at + 96, s - 8) >> 4;
            w.half_scale[h] = static_cast<std::int32_t>(nibble | (((byte_at(at + 104, s % 4) >> (2 * (s / 4))) & 3U) << 4)) - 32;
        }
        return w;
    }
    case Type::iq4_nl:
    case Type::mxfp4: {
        const bool plain = type == Type::iq4_nl;
        const auto* at = row + b * format_of(type).block_bytes;
        w.scale = plain ? f16(at) : half_power(byte_at(at, 0));
        const auto* codes = at + (plain ? 2 : 1);
        const Codebook book{plain ? iq4_codebook.low : mxfp4_codebook.low, plain ? iq4_codebook.high : mxfp4_codebook.high};
        for (int i = 0; i < 16; ++i) {
            w.code[i] = look_up(book, byte_at(codes, i) & 15U);
            w.code[i + 16] = look_up(book, byte_at(codes, i) >> 4);
        }
        return w;
    }
    case Type::iq4_xs: {
        const auto* at = row + b / 8 * 136;
        const auto j = b % 8;
        const auto low = (byte_at(at + 4, j / 2) >> (4 * (j % 2))) & 15U;
        const auto high = (static_cast<std::uint32_t>(load_as<std::uint16_t>(at + 2)) >> (2 * j)) & 3U;
        w.scale = f16(at) * static_cast<float>(static_cast<std::int32_t>(low | (high << 4)) - 32);
        for (int i = 0; i < 16; ++i) {
            const auto both = byte_at(at + 8 + 16 * j, i);
            w.code[i] = look_up(iq4_codebook, both & 15U);
            w.code[i + 16] = look_up(iq4_codebook, both >> 4);
        }
        return w;
    }
    default: return w;
    }
}

/// Element i of a plain row, widened exactly.
static inline float element_of(Type type, const std::byte* row, std::int64_t i)
{
    switch (type) {
    case Type::f16: return f16_to_f32(load_as<std::uint16_t>(row + 2 * i));
    case Type::bf16: return bf16_to_f32(load_as<std::uint16_t>(row + 2 * i));
    default: return load_as<float>(row + 4 * i);
    }
}

/// Quantised activations of one node (docs/arithmetic.md §4), as they lie in Scratch::activations.
struct Activations {
    std::int8_t* codes;  ///< [column][k]
    float* scale;  ///< [column][block]
    float* scaled_sum;  ///< scale times the sum of the block's codes
    std::int32_t* half_sums;  ///< [column][block][2]: of the first and the second 16 codes
    std::int64_t k, blocks, columns;
};
static inline Activations activations_of(const Node& node, std::byte* at)
{
    const auto k = node.source[1].extent[0];
    const auto columns = rows_of(node.source[1]);
    const auto blocks = k / block_elements;
    auto* const rest = at + (k * columns + 63) / 64 * 64;
    return {reinterpret_cast<std::int8_t*>(at), reinterpret_cast<float*>(rest),
        reinterpret_cast<float*>(rest + 4 * blocks * columns), reinterpret_cast<std::int32_t*>(rest + 8 * blocks * columns), k,
        blocks, columns};
}

}  // namespace altiplano::kernels
