#pragma once

#include "kernels/lanes/lanes.hpp"
#include "kernels/weights.hpp"

/// Blocks of sixteen rows at once, straight from the bytes of each format: row r in lane r. weights.hpp is what they must equal.
namespace altiplano::kernels {
namespace {

/// One block of sixteen rows: codes[g] has elements 4g..4g+3 of row r in lane r.
struct Block16 {
    I16x codes[8];
    F16x scale, minimum;
    I16x half_scale[2];
};

ALTIPLANO_LANES I16x low_nibbles(I16x bytes)
{
    return bytes & all(0x0f0f0f0f);
}
ALTIPLANO_LANES I16x high_nibbles(I16x bytes)
{
    return right(bytes, 4) & all(0x0f0f0f0f);
}
ALTIPLANO_LANES void nibbles(const std::byte* at, std::int64_t stride, I16x* codes)
{
    I16x bytes[4];
    load_columns(at, stride, bytes);
    for (int g = 0; g < 4; ++g) {
        codes[g] = low_nibbles(bytes[g]);
        codes[g + 4] = high_nibbles(bytes[g]);
    }
}

/// What the product needs to know of a format: bits of its codes, how much too large they are, whether there is a minimum, and
/// whether each half of a block has a scale of its own.
template <Type> struct Blocks;

template <> struct Blocks<Type::q4_0> {
    static constexpr int bits = 4, offset = 8, steps = 1;
    static constexpr bool minimum = false, halves = false;
    ALTIPLANO_LANES void begin(const std::byte*, std::int64_t) { }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int, Block16& b)
    {
        b.scale = half_to_float(gather16(at, stride));
        nibbles(at + 2, stride, b.codes);
    }
};
template <> struct Blocks<Type::q4_1> {
    static constexpr int bits = 4, offset = 0, steps = 1;
    static constexpr bool minimum = true, halves = false;
    ALTIPLANO_LANES void begin(const std::byte*, std::int64_t) { }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int, Block16& b)
    {
        const auto both = gather16(at, stride);
        b.scale = half_to_float(both);
        b.minimum = half_to_float(right(both, 16));
        nibbles(at + 4, stride, b.codes);
    }
};

/// Bit i of `high` becomes bit 4 of code i.
ALTIPLANO_LANES void fifth_bits(I16x high, I16x* codes)
{
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g)
        codes[g] = each<I16x>([=](int i) { return with_fifth_bits(codes[g].p[i], high.p[i], g); });
}
template <> struct Blocks<Type::q5_0> {
    static constexpr int bits = 5, offset = 16, steps = 1;
    static constexpr bool minimum = false, halves = false;
    ALTIPLANO_LANES void begin(const std::byte*, std::int64_t) { }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int, Block16& b)
    {
        I16x words[4];  // the first two hold scale and fifth bits
        load_columns(at, stride, words);
        b.scale = half_to_float(words[0]);
        nibbles(at + 6, stride, b.codes);
        fifth_bits(right(words[0], 16) | left(words[1], 16), b.codes);
    }
};
template <> struct Blocks<Type::q5_1> {
    static constexpr int bits = 5, offset = 0, steps = 1;
    static constexpr bool minimum = true, halves = false;
    ALTIPLANO_LANES void begin(const std::byte*, std::int64_t) { }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int, Block16& b)
    {
        I16x words[4];
        load_columns(at, stride, words);
        b.scale = half_to_float(words[0]);
        b.minimum = half_to_float(right(words[0], 16));
        nibbles(at + 8, stride, b.codes);
        fifth_bits(words[1], b.codes);
    }
};
/// Nibbles that name the values of a codebook, in signed bytes.
ALTIPLANO_LANES void codebook_nibbles(const std::byte* at, std::int64_t stride, Codebook book, I16x* codes)
{
    nibbles(at, stride, codes);
    for (int g = 0; g < 8; ++g)
        codes[g] = each<I16x>([=](int i) { return look_up(codes[g].p[i], book.low, book.high); });
}
template <> struct Blocks<Type::iq4_nl> {
    static constexpr int bits = 8, offset = signed_bias, steps = 1;
    static constexpr bool minimum = false, halves = false;
    ALTIPLANO_LANES void begin(const std::byte*, std::int64_t) { }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int, Block16& b)
    {
        b.scale = half_to_float(gather16(at, stride));
        codebook_nibbles(at + 2, stride, iq4_codebook, b.codes);
    }
};
template <> struct Blocks<Type::mxfp4> {
    static constexpr int bits = 8, offset = signed_bias, steps = 1;
    static constexpr bool minimum = false, halves = false;
    ALTIPLANO_LANES void begin(const std::byte*, std::int64_t) { }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int, Block16& b)
    {
        std::int32_t exponents[16];
        store16(exponents, gather16(at, stride) & all(255));
        float scales[16];
        for (int r = 0; r < 16; ++r)
            scales[r] = half_power(static_cast<std::uint32_t>(exponents[r]));
        b.scale = load16(scales);
        codebook_nibbles(at + 1, stride, mxfp4_codebook, b.codes);
    }
};
template <> struct Blocks<Type::q8_0> {
    static constexpr int bits = 8, offset = signed_bias, steps = 1;
    static constexpr bool minimum = false, halves = false;
    ALTIPLANO_LANES void begin(const std::byte*, std::int64_t) { }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int, Block16& b)
    {
        b.scale = half_to_float(gather16(at, stride));
        load_columns(at + 2, stride, b.codes);
        load_columns(at + 18, stride, b.codes + 4);
    }
};

/// Scales and minima of eight sub-blocks, six bits each in three words per row.
struct SubScales {
    F16x scale, minimum;
    I16x word[3];

    ALTIPLANO_LANES void begin(const std::byte* at, std::int64_t stride)
    {
        I16x words[4];
        load_columns(at, stride, words);
        scale = half_to_float(words[0]);
        minimum = half_to_float(right(words[0], 16));
        for (int i = 0; i < 3; ++i)
            word[i] = words[1 + i];
    }
    ALTIPLANO_LANES void read(int j, Block16& b) const
    {
        I16x s;
        I16x m;
        if (j < 4) {
            s = right(word[0], 8 * j) & all(63);
            m = right(word[1], 8 * j) & all(63);
        } else {
            const int shift = 8 * (j - 4);
            s = (right(word[2], shift) & all(15)) | left(right(word[0], shift + 6) & all(3), 4);
            m = (right(word[2], shift + 4) & all(15)) | left(right(word[1], shift + 6) & all(3), 4);
        }
        b.scale = scale * to_float(s);
        b.minimum = all(0.0F) - minimum * to_float(m);
    }
};
/// What several sub-blocks share: they come in order, so it is read with the first of them.
struct SharedBytes {
    I16x bytes[8];

    /// Thirty-two bytes.
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride)
    {
        load_columns(at, stride, bytes);
        load_columns(at + 16, stride, bytes + 4);
    }
};
/// Two sub-blocks lie in the halves of the same bytes.
struct SubNibbles {
    SharedBytes two;

    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int j, I16x* codes)
    {
        if (j % 2 == 0) {
            two.read(at + j / 2 * 32, stride);
            for (int g = 0; g < 8; ++g)
                codes[g] = low_nibbles(two.bytes[g]);
        } else {
            for (int g = 0; g < 8; ++g)
                codes[g] = high_nibbles(two.bytes[g]);
        }
    }
};
template <> struct Blocks<Type::q4_k> {
    static constexpr int bits = 4, offset = 0, steps = 8;
    static constexpr bool minimum = true, halves = false;
    SubScales scales;
    SubNibbles nibbles;
    ALTIPLANO_LANES void begin(const std::byte* at, std::int64_t stride) { scales.begin(at, stride); }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int j, Block16& b)
    {
        scales.read(j, b);
        nibbles.read(at + 16, stride, j, b.codes);
    }
};
template <> struct Blocks<Type::q5_k> {
    static constexpr int bits = 5, offset = 0, steps = 8;
    static constexpr bool minimum = true, halves = false;
    SubScales scales;
    SubNibbles nibbles;
    SharedBytes high;
    ALTIPLANO_LANES void begin(const std::byte* at, std::int64_t stride)
    {
        scales.begin(at, stride);
        high.read(at + 16, stride);
    }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int j, Block16& b)
    {
        scales.read(j, b);
        nibbles.read(at + 48, stride, j, b.codes);
        for (int g = 0; g < 8; ++g)
            b.codes[g] = b.codes[g] | left(right(high.bytes[g], j) & all(0x01010101), 4);
    }
};
template <> struct Blocks<Type::q6_k> {
    static constexpr int bits = 6, offset = 32, steps = 8;
    static constexpr bool minimum = false, halves = true;
    F16x scale;
    I16x half_scales[4];  ///< signed bytes, two per sub-block
    SharedBytes low[2], high;  ///< of four sub-blocks
    ALTIPLANO_LANES void begin(const std::byte* at, std::int64_t stride)
    {
        scale = half_to_float(right(gather16(at + 206, stride), 16));  // the last word of the block: its high half is the scale
        load_columns(at + 192, stride, half_scales);
    }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int j, Block16& b)
    {
        b.scale = scale;
        const int group = j % 4;
        if (group == 0) {
            low[0].read(at + 64 * (j / 4), stride);
            low[1].read(at + 64 * (j / 4) + 32, stride);
            high.read(at + 128 + 32 * (j / 4), stride);
        }
        const auto& nibble = low[group % 2].bytes;
        const auto top = all(0x30303030);
        if (group < 2)
            for (int g = 0; g < 8; ++g)
                b.codes[g] = low_nibbles(nibble[g]) | (left(high.bytes[g], 4 - 2 * group) & top);
        else
            for (int g = 0; g < 8; ++g)
                b.codes[g] = high_nibbles(nibble[g]) | (right(high.bytes[g], 2 * group - 4) & top);
        const auto word = half_scales[j / 2];
        const int shift = j % 2 * 16;
        b.half_scale[0] = right_signed(left(word, 24 - shift), 24);
        b.half_scale[1] = right_signed(left(word, 16 - shift), 24);
    }
};
template <> struct Blocks<Type::iq4_xs> {
    static constexpr int bits = 8, offset = signed_bias, steps = 8;
    static constexpr bool minimum = false, halves = false;
    F16x scale;
    I16x high, low;
    ALTIPLANO_LANES void begin(const std::byte* at, std::int64_t stride)
    {
        const auto both = gather16(at, stride);
        scale = half_to_float(both);
        high = right(both, 16);
        low = gather16(at + 4, stride);
    }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int j, Block16& b)
    {
        const auto six = (right(low, 4 * j) & all(15)) | left(right(high, 2 * j) & all(3), 4);
        b.scale = scale * to_float(six - all(32));
        codebook_nibbles(at + 8 + 16 * j, stride, iq4_codebook, b.codes);
    }
};
/// Two bits per code: four sub-blocks lie in the same bytes.
struct SubPairs {
    SharedBytes four;

    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int j, I16x* codes)
    {
        if (j % 4 == 0)
            four.read(at + j / 4 * 32, stride);
        for (int g = 0; g < 8; ++g)
            codes[g] = right(four.bytes[g], 2 * (j % 4)) & all(0x03030303);
    }
};
template <> struct Blocks<Type::q2_k> {
    static constexpr int bits = 2, offset = 0, steps = 8;
    static constexpr bool minimum = true, halves = true, half_minima = true;
    F16x scale, least;
    I16x half_scales[4];
    SubPairs pairs;
    ALTIPLANO_LANES void begin(const std::byte* at, std::int64_t stride)
    {
        load_columns(at, stride, half_scales);
        const auto both = gather16(at + 80, stride);
        scale = half_to_float(both);
        least = all(0.0F) - half_to_float(right(both, 16));
    }
    /// A half's scale and, four bits higher, its minimum.
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int j, Block16& b)
    {
        b.scale = scale;
        b.minimum = least;
        pairs.read(at + 16, stride, j, b.codes);
        const auto word = half_scales[j / 2];
        b.half_scale[0] = right(word, j % 2 * 16) & all(255);
        b.half_scale[1] = right(word, j % 2 * 16 + 8) & all(255);
    }
};
template <> struct Blocks<Type::q3_k> {
    static constexpr int bits = 3, offset = 4, steps = 8;
    static constexpr bool minimum = false, halves = true;
    F16x scale;
    I16x word[3];
    SubPairs pairs;
    SharedBytes high;
    ALTIPLANO_LANES void begin(const std::byte* at, std::int64_t stride)
    {
        scale = half_to_float(right(gather16(at + 106, stride), 16));
        for (int i = 0; i < 3; ++i)
            word[i] = gather16(at + 96 + 4 * i, stride);
        high.read(at, stride);
    }
    ALTIPLANO_LANES void read(const std::byte* at, std::int64_t stride, int j, Block16& b)
    {
        b.scale = scale;
        pairs.read(at + 32, stride, j, b.codes);
        for (int g = 0; g < 8; ++g)
            b.codes[g] = b.codes[g] | left(right(high.bytes[g], j) & all(0x01010101), 2);
        for (int h = 0; h < 2; ++h) {
            const int s = 2 * j + h;
            const auto nibble = right(word[s % 8 / 4], 8 * (s % 4) + (s < 8 ? 0 : 4)) & all(15);
            const auto top = right(word[2], 8 * (s % 4) + 2 * (s / 4)) & all(3);
            b.half_scale[h] = (nibble | left(top, 4)) - all(32);
        }
    }
};

}  // namespace
}  // namespace altiplano::kernels
