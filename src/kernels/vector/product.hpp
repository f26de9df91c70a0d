#pragma once

#include "kernels/portable.hpp"
#include "kernels/vector/blocks.hpp"
#include "kernels/weights.hpp"

/// MUL_MAT of quantised weights (docs/arithmetic.md §4): rows in lanes, so that every column, alone or among others, sees the
/// same operations in the same order.
namespace altiplano::kernels {
namespace {

inline Outcome quantise(const Node& node, Share share, std::byte* at)
{
    const auto a = activations_of(node, at);
    const auto part = part_of(a.columns * a.blocks, share);
    for (auto i = part.begin; i < part.end; ++i) {
        const auto column = i / a.blocks;
        const auto block = i % a.blocks;
        const auto [i1, i2, i3] = row_index(node.source[1], column);
        const auto* x = reinterpret_cast<const float*>(row_of(node.source[1], i1, i2, i3)) + block * block_elements;
        auto* codes = a.codes + column * a.k + block * block_elements;
        const F16x half[2] = {load16(x), load16(x + 16)};
        const auto largest = largest_of(larger(magnitude(half[0]), magnitude(half[1])));
        if (largest >= infinity_bits)
            return Outcome::not_finite;
        const float amax = float_of(largest);
        float scale = 0.0F;
        float inverse = 0.0F;
        if (amax >= smallest_amax) {
            scale = amax / 127.0F;
            inverse = 127.0F / amax;
        }
        std::int32_t sums[2];
        for (int h = 0; h < 2; ++h) {
            // The sum's low bits are the code: nearest_magic is an integer number of units in the last place.
            const auto code = bits(half[h] * all(inverse) + all(nearest_magic)) - all(0x4b400000);
            store_codes16(codes + 16 * h, code);
            sums[h] = sum_of(code);
        }
        a.scale[i] = scale;
        a.scaled_sum[i] = scale * static_cast<float>(sums[0] + sums[1]);
        a.half_sums[2 * i] = sums[0];
        a.half_sums[2 * i + 1] = sums[1];
    }
    return Outcome::done;
}

constexpr std::int64_t ahead_bytes = 64 * 1024;

/// Sixteen rows where they lie.
template <Type T> struct InPlace {
    using Format = Blocks<T>;
    const std::byte* rows;
    std::int64_t stride;
    Format format;

    ALTIPLANO_LANES void read(std::int64_t b, Block16& block)
    {
        constexpr auto bytes = format_of(T).block_bytes;
        const auto* at = rows + b / Format::steps * bytes;
        // Sixteen streams defeat the hardware's prefetching. What lies ahead comes into the second cache: the first is too
        // small for it and has too few places to wait in. Beyond the end it is no fault, only of no use. A little at a time: what
        // is asked for at once has to wait.
        constexpr auto step_bytes = 16 * bytes / Format::steps;
        for (std::int64_t i = 0; i < step_bytes; i += 64)
            __builtin_prefetch(rows + ahead_bytes + b * step_bytes + i, 0, 2);
        if (b % Format::steps == 0)
            format.begin(at, stride);
        format.read(at, stride, static_cast<int>(b % Format::steps), block);
    }
};

constexpr std::int64_t packed_bytes = 768;
/// Sixteen rows unpacked once for many columns.
template <Type T> struct Packed {
    using Format = Blocks<T>;
    std::byte* panel;

    ALTIPLANO_LANES void write(std::int64_t b, const Block16& block)
    {
        auto* at = panel + b * packed_bytes;
        for (int g = 0; g < 8; ++g)
            store16(reinterpret_cast<std::int32_t*>(at + 64 * g), block.codes[g]);
        store16(reinterpret_cast<float*>(at + 512), block.scale);
        if (Format::minimum)
            store16(reinterpret_cast<float*>(at + 576), block.minimum);
        if (Format::halves)
            for (int h = 0; h < 2; ++h)
                store16(reinterpret_cast<std::int32_t*>(at + 640 + 64 * h), block.half_scale[h]);
    }
    ALTIPLANO_LANES void read(std::int64_t b, Block16& block)
    {
        const auto* at = panel + b * packed_bytes;
        for (int g = 0; g < 8; ++g)
            block.codes[g] = load16(reinterpret_cast<const std::int32_t*>(at + 64 * g));
        block.scale = load16(reinterpret_cast<const float*>(at + 512));
        if (Format::minimum)
            block.minimum = load16(reinterpret_cast<const float*>(at + 576));
        if (Format::halves)
            for (int h = 0; h < 2; ++h)
                block.half_scale[h] = load16(reinterpret_cast<const std::int32_t*>(at + 640 + 64 * h));
    }
};

/// Whether each half of a block has a minimum of its own, four bits above its scale.
template <class Format> constexpr bool has_half_minima()
{
    if constexpr (requires { Format::half_minima; })
        return Format::half_minima;
    return false;
}

/// The integer product of a block with one column's activations, in every lane its row's.
template <class Format> ALTIPLANO_LANES I16x block_sum(const Block16& w, const std::int8_t* codes, const std::int32_t* half_sums)
{
    if constexpr (Format::halves) {
        const auto first = dot16<Format::bits>(all(-Format::offset * half_sums[0]), w.codes, codes);
        const auto second = dot16<Format::bits>(all(-Format::offset * half_sums[1]), w.codes + 4, codes + 16);
        if constexpr (has_half_minima<Format>())
            return (w.half_scale[0] & all(15)) * first + (w.half_scale[1] & all(15)) * second;
        else
            return w.half_scale[0] * first + w.half_scale[1] * second;
    } else {
        const auto first = dot16<Format::bits>(all(-Format::offset * (half_sums[0] + half_sums[1])), w.codes, codes);
        return dot16<Format::bits>(first, w.codes + 4, codes + 16);
    }
}

/// Sixteen rows by `Columns` columns; lanes from `first` on are stored. @return false: one of them is not finite
template <unsigned Columns, class Source>
[[gnu::noinline]] bool tile(Source source, const Activations& a, std::int64_t column, float* const* out, std::int64_t first)
{
    using Format = typename Source::Format;
    F16x total[Columns];
    for (unsigned c = 0; c < Columns; ++c)
        total[c] = all(0.0F);
    const auto* codes = a.codes + column * a.k;
    const auto* scale = a.scale + column * a.blocks;
    const auto* scaled_sum = a.scaled_sum + column * a.blocks;
    const auto* half_sums = a.half_sums + column * a.blocks * 2;
    for (std::int64_t begin = 0; begin < a.blocks; begin += segment_blocks) {
        const auto end = begin + segment_blocks < a.blocks ? begin + segment_blocks : a.blocks;
        F16x segment[Columns];
        for (unsigned c = 0; c < Columns; ++c)
            segment[c] = all(0.0F);
        for (auto b = begin; b < end; ++b) {
            Block16 w;
            source.read(b, w);
            const auto codes_of = [&](unsigned c) { return codes + c * a.k + b * block_elements; };
            // Half by half where there are registers for all columns' sums: fewer weights are held at a time.
            constexpr bool by_halves = pieces == 1 && !Format::halves && Columns > 1;
            I16x sums[Columns];
            if constexpr (by_halves) {
#pragma GCC unroll 8
                for (unsigned c = 0; c < Columns; ++c) {
                    const auto* of = half_sums + 2 * (c * a.blocks + b);
                    sums[c] = dot16<Format::bits>(all(-Format::offset * (of[0] + of[1])), w.codes, codes_of(c));
                }
#pragma GCC unroll 8
                for (unsigned c = 0; c < Columns; ++c)
                    sums[c] = dot16<Format::bits>(sums[c], w.codes + 4, codes_of(c) + 16);
            }
#pragma GCC unroll 8
            for (unsigned c = 0; c < Columns; ++c) {
                const auto sum = by_halves ? sums[c] : block_sum<Format>(w, codes_of(c), half_sums + 2 * (c * a.blocks + b));
                auto p = to_float(sum) * (w.scale * all(scale[c * a.blocks + b]));
                if constexpr (has_half_minima<Format>()) {
                    const auto* of = half_sums + 2 * (c * a.blocks + b);
                    const auto least = right(w.half_scale[0], 4) * all(of[0]) + right(w.half_scale[1], 4) * all(of[1]);
                    p = p + to_float(least) * (w.minimum * all(scale[c * a.blocks + b]));
                } else if constexpr (Format::minimum) {
                    p = p + w.minimum * all(scaled_sum[c * a.blocks + b]);
                }
                segment[c] = segment[c] + p;
            }
        }
        for (unsigned c = 0; c < Columns; ++c)
            total[c] = total[c] + segment[c];
    }
    auto worst = all(0);
    for (unsigned c = 0; c < Columns; ++c) {
        worst = larger(worst, magnitude(total[c]));
        if (first == 0) {
            store16(out[c], total[c]);
        } else {
            float lanes[16];
            store16(lanes, total[c]);
            for (auto r = first; r < 16; ++r)
                out[c][r] = lanes[r];
        }
    }
    return largest_of(worst) < infinity_bits;
}

/// Columns [begin, end) of one panel.
template <class Source, class Out>
ALTIPLANO_LANES bool columns(
    const Source& source, const Activations& a, std::int64_t begin, std::int64_t end, std::int64_t first, const Out& out_of)
{
    bool finite = true;
    const auto some = [&]<unsigned Columns>() {
        float* out[Columns];
        for (unsigned c = 0; c < Columns; ++c)
            out[c] = out_of(begin + c);
        finite &= tile<Columns>(source, a, begin, out, first);
        begin += Columns;
    };
    while (begin + column_tile <= end)
        some.template operator()<column_tile>();
    if (begin + 2 < end)
        while (begin + 2 <= end)  // NOLINT(bugprone-infinite-loop): `some` moves begin
            some.template operator()<2>();
    while (begin < end)  // NOLINT(bugprone-infinite-loop)
        some.template operator()<1>();
    return finite;
}

constexpr std::int64_t in_place_columns_max = 8;  ///< more columns pay for unpacking a panel first

template <Type T> Outcome product(const Node& node, Share share, const Scratch& scratch)
{
    const auto& weights = node.source[0];
    const auto a = activations_of(node, scratch.activations);
    const auto rows = weights.extent[1];
    const auto panels = (rows + 15) / 16;
    const auto part = part_of(panels, share);
    bool finite = true;
    // The activations of one block of columns stay in the second cache.
    const auto fitting = 384 * 1024 / a.k / 8 * 8;
    const auto width = a.columns <= in_place_columns_max ? a.columns : fitting < 64 ? 64 : fitting;
    for (std::int64_t begin = 0; begin < a.columns; begin += width) {
        const auto end = begin + width < a.columns ? begin + width : a.columns;
        for (auto panel = part.begin; panel < part.end; ++panel) {
            // The last panel begins early enough to be whole; what another has done already is not stored again.
            const auto row = 16 * panel + 16 <= rows ? 16 * panel : rows - 16;
            const auto out_of = [&](std::int64_t column) {
                const auto [i1, i2, i3] = row_index(node.source[1], column);
                return reinterpret_cast<float*>(row_of(node.result, i1, i2, i3)) + row;
            };
            InPlace<T> source{row_of(weights, row), weights.stride[1], {}};
            if (a.columns <= in_place_columns_max) {
                finite &= columns(source, a, begin, end, 16 * panel - row, out_of);
                continue;
            }
            Packed<T> packed{scratch.panel};
            for (std::int64_t b = 0; b < a.blocks; ++b) {
                Block16 block;
                source.read(b, block);
                packed.write(b, block);
            }
            finite &= columns(packed, a, begin, end, 16 * panel - row, out_of);
        }
    }
    return finite ? Outcome::done : Outcome::not_finite;
}

/// Each column with the rows of the expert chosen for it. Panel by panel and expert by expert, so that a panel that several
/// columns want is read from memory once.
template <Type T> Outcome product_by_id(const Node& node, Share share, const Scratch& scratch)
{
    const auto& weights = node.source[0];
    const auto& x = node.source[1];
    const auto& chosen = node.source[2];
    const auto a = activations_of(node, scratch.activations);
    const auto rows = weights.extent[1];
    const auto part = part_of((rows + 15) / 16, share);
    bool finite = true;
    for (auto panel = part.begin; panel < part.end; ++panel) {
        const auto row = 16 * panel + 16 <= rows ? 16 * panel : rows - 16;
        for (std::int64_t expert = 0; expert < weights.extent[2]; ++expert)
            for (std::int64_t t = 0; t < chosen.extent[1]; ++t)
                for (std::int64_t u = 0; u < chosen.extent[0]; ++u) {
                    if (index_at(chosen, u, t) != expert)
                        continue;
                    const InPlace<T> source{row_of(weights, row, expert), weights.stride[1], {}};
                    float* const out[1] = {reinterpret_cast<float*>(row_of(node.result, u, t)) + row};
                    finite &= tile<1>(source, a, t * x.extent[1] + u % x.extent[1], out, 16 * panel - row);
                }
    }
    return finite ? Outcome::done : Outcome::not_finite;
}

/// mul_mat and mul_mat_id of one format.
template <Type T> Outcome product_of(const Node& node, Share share, const Scratch& scratch)
{
    return node.op == Op::mul_mat ? product<T>(node, share, scratch) : product_by_id<T>(node, share, scratch);
}

inline bool chooses_well(const Node& node)
{
    for (std::int64_t t = 0; t < node.source[2].extent[1]; ++t)
        for (std::int64_t u = 0; u < node.source[2].extent[0]; ++u)
            if (const auto expert = index_at(node.source[2], u, t); expert < 0 || expert >= node.source[0].extent[2])
                return false;
    return true;
}

inline Outcome product_of_blocks(const Node& node, Share share, const Scratch& scratch)
{
    if (node.source[0].extent[1] < 16)
        return node.op == Op::mul_mat ? portable::mul_mat(node, share, scratch.activations)
                                      : portable::mul_mat_id(node, share, scratch.activations);
    if (node.op == Op::mul_mat_id && !chooses_well(node))
        return Outcome::bad_index;
    switch (node.source[0].type) {
    case Type::q4_0: return product_of<Type::q4_0>(node, share, scratch);
    case Type::q4_1: return product_of<Type::q4_1>(node, share, scratch);
    case Type::q5_0: return product_of<Type::q5_0>(node, share, scratch);
    case Type::q5_1: return product_of<Type::q5_1>(node, share, scratch);
    case Type::q8_0: return product_of<Type::q8_0>(node, share, scratch);
    case Type::q4_k: return product_of<Type::q4_k>(node, share, scratch);
    case Type::q5_k: return product_of<Type::q5_k>(node, share, scratch);
    case Type::q2_k: return product_of<Type::q2_k>(node, share, scratch);
    case Type::q3_k: return product_of<Type::q3_k>(node, share, scratch);
    case Type::iq4_nl: return product_of<Type::iq4_nl>(node, share, scratch);
    case Type::iq4_xs: return product_of<Type::iq4_xs>(node, share, scratch);
    case Type::mxfp4: return product_of<Type::mxfp4>(node, share, scratch);
    default: return product_of<Type::q6_k>(node, share, scratch);
    }
}

}  // namespace
}  // namespace altiplano::kernels
