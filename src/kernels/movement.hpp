#pragma once

#include "kernels/weights.hpp"

/// Operations that move rows without arithmetic of their own but widening and rounding; every implementation shares them
/// (docs/arithmetic.md §5).
namespace altiplano::kernels {

/// Element e of a block.
static inline float widened(const WeightBlock& w, int e)
{
    const int half = e / 16;
    const float x = static_cast<float>(w.half_scale[half] * w.code[e]) * w.scale;
    const float minimum = w.has_half_minima ? static_cast<float>(w.half_minimum[half]) * w.minimum : w.minimum;
    return w.has_minimum || w.has_half_minima ? x + minimum : x;
}

/// Rows of source 0 by the indices of source 1, widened to F32.
static inline Outcome get_rows(const Node& node, Share share)
{
    const auto& table = node.source[0];
    const auto width = node.result.extent[0];
    const auto part = part_of(rows_of(node.result), share);
    auto outcome = Outcome::done;
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(node.result, r);
        const auto index = index_at(node.source[1], i1, i2, i3);
        if (index < 0 || index >= table.extent[1])
            return Outcome::bad_index;
        const auto* from = row_of(table, index, i2, i3);
        auto* to = reinterpret_cast<float*>(row_of(node.result, i1, i2, i3));
        std::uint32_t worst = 0;
        const auto put = [&](std::int64_t i, float x) {
            to[i] = x;
            const auto magnitude = bits_of(x) & 0x7fffffffU;
            worst = magnitude > worst ? magnitude : worst;
        };
        if (is_quantised(table.type)) {
            for (std::int64_t b = 0; b < width / block_elements; ++b) {
                const auto w = weight_block(table.type, from, b);
                for (int e = 0; e < 32; ++e)
                    put(block_elements * b + e, widened(w, e));
            }
        } else {
            for (std::int64_t i = 0; i < width; ++i)
                put(i, element_of(table.type, from, i));
        }
        if (worst > infinity_bits)
            outcome = Outcome::not_finite;
    }
    return outcome;
}

/// F32 to F32 or F16. @return false: it is not a number
static inline bool put_element(Type type, std::byte* at, float x)
{
    if (type == Type::f16)
        store_as(at, f32_to_f16(x));
    else
        store_as(at, x);
    return is_number(x);
}

/// Rows of source 0 into the rows of the result that source 1 names, in order, so that the last of equal indices stays: one
/// share does it all.
static inline Outcome set_rows(const Node& node, Share share)
{
    if (share.index != 0)
        return Outcome::done;
    const auto& rows = node.source[0];
    const auto step = format_of(node.result.type).block_bytes;
    bool fine = true;
    for (std::int64_t r = 0; r < rows.extent[1]; ++r) {
        const auto index = index_at(node.source[1], r);
        if (index < 0 || index >= node.result.extent[1])
            return Outcome::bad_index;
        const auto* from = row_of(rows, r);
        auto* to = row_of(node.result, index);
        for (std::int64_t i = 0; i < rows.extent[0]; ++i)
            fine &= put_element(node.result.type, to + i * step, load_as<float>(from + 4 * i));
    }
    return fine ? Outcome::done : Outcome::not_finite;
}

/// Element n of source 0 to element n of the result, both counted row by row whatever their strides.
static inline Outcome copy(const Node& node, Share share)
{
    const auto& from = node.source[0];
    const auto& to = node.result;
    const auto part = part_of(rows_of(to), share);
    const auto width = to.extent[0];
    std::int64_t i[4] = {};
    const auto first = part.begin * width;
    i[0] = first % from.extent[0];
    i[1] = first / from.extent[0] % from.extent[1];
    i[2] = first / from.extent[0] / from.extent[1] % from.extent[2];
    i[3] = first / from.extent[0] / from.extent[1] / from.extent[2];
    bool fine = true;
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(to, r);
        auto* at = row_of(to, i1, i2, i3);
        for (std::int64_t e = 0; e < width; ++e) {
            const auto* x =
                from.data + i[0] * from.stride[0] + i[1] * from.stride[1] + i[2] * from.stride[2] + i[3] * from.stride[3];
            fine &= put_element(to.type, at + e * to.stride[0], element_of(from.type, x, 0));
            int d = 0;
            while (++i[d] == from.extent[d] && d < 3)
                i[d++] = 0;
        }
    }
    return fine ? Outcome::done : Outcome::not_finite;
}

}  // namespace altiplano::kernels
