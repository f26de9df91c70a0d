#pragma once

#include "kernels/lanes/lanes.hpp"
#include "kernels/weights.hpp"

/// MUL_MAT of plain weights (docs/arithmetic.md §4): sixteen sums by position modulo 16, then the tree.
namespace altiplano::kernels {
namespace {

template <Type T> ALTIPLANO_LANES F16x load_plain(const std::byte* row, std::int64_t i)
{
    if constexpr (T == Type::f16)
        return load_halves(row + 2 * i);
    else if constexpr (T == Type::bf16)
        return each<F16x>([=](int p) {
            std::int32_t lanes[piece_lanes];
            for (int l = 0; l < piece_lanes; ++l) {
                std::uint16_t h;
                __builtin_memcpy(&h, row + 2 * (i + p * piece_lanes + l), 2);
                lanes[l] = static_cast<std::int32_t>(static_cast<std::uint32_t>(h) << 16);
            }
            return floats(load(lanes));
        });
    else
        return load16(reinterpret_cast<const float*>(row) + i);
}
template <Type T> F16x load_plain_few(const std::byte* row, std::int64_t i, std::int64_t n)
{
    float lanes[16] = {};
    for (std::int64_t l = 0; l < n; ++l)
        lanes[l] = element_of(T, row, i + l);
    return load16(lanes);
}

template <Type T, unsigned Rows, unsigned Columns>
ALTIPLANO_LANES void float_tile(
    const std::byte* w, std::int64_t stride, const float* const* x, std::int64_t k, float (&sums)[Rows][Columns])
{
    F16x acc[Rows][Columns];
    for (auto& row : acc)
        for (auto& one : row)
            one = all(0.0F);
    const auto step = [&](const F16x* a, const F16x* b) {
        for (unsigned r = 0; r < Rows; ++r)
            for (unsigned c = 0; c < Columns; ++c)
                acc[r][c] = acc[r][c] + a[r] * b[c];
    };
    std::int64_t i = 0;
    for (; i + 16 <= k; i += 16) {
        F16x a[Rows];
        F16x b[Columns];
        for (unsigned r = 0; r < Rows; ++r)
            a[r] = load_plain<T>(w + r * stride, i);
        for (unsigned c = 0; c < Columns; ++c)
            b[c] = load16(x[c] + i);
        step(a, b);
    }
    if (i < k) {
        // Zeros behind the end add zero to sums that are never minus zero.
        F16x a[Rows];
        F16x b[Columns];
        for (unsigned r = 0; r < Rows; ++r)
            a[r] = load_plain_few<T>(w + r * stride, i, k - i);
        for (unsigned c = 0; c < Columns; ++c)
            b[c] = load_few(x[c] + i, k - i);
        step(a, b);
    }
    for (unsigned r = 0; r < Rows; ++r)
        for (unsigned c = 0; c < Columns; ++c)
            sums[r][c] = tree16(acc[r][c]);
}

template <Type T> Outcome float_product(const Node& node, Share share)
{
    const auto& weights = node.source[0];
    const auto& x = node.source[1];
    const auto repeat2 = x.extent[2] / weights.extent[2];
    const auto repeat3 = x.extent[3] / weights.extent[3];
    const auto k = weights.extent[0];
    const auto part = part_of(weights.extent[1], share);
    bool finite = true;
    for (std::int64_t i3 = 0; i3 < x.extent[3]; ++i3)
        for (std::int64_t i2 = 0; i2 < x.extent[2]; ++i2) {
            const auto some = [&]<unsigned Rows, unsigned Columns>(std::int64_t row, std::int64_t column) {
                const float* from[Columns];
                for (unsigned c = 0; c < Columns; ++c)
                    from[c] = reinterpret_cast<const float*>(row_of(x, column + c, i2, i3));
                float sums[Rows][Columns];
                float_tile<T, Rows, Columns>(row_of(weights, row, i2 / repeat2, i3 / repeat3), weights.stride[1], from, k, sums);
                for (unsigned c = 0; c < Columns; ++c) {
                    auto* to = reinterpret_cast<float*>(row_of(node.result, column + c, i2, i3));
                    for (unsigned r = 0; r < Rows; ++r) {
                        to[row + r] = sums[r][c];
                        finite &= is_finite(sums[r][c]);
                    }
                }
            };
            auto row = part.begin;
            for (; row + float_tile_rows <= part.end; row += float_tile_rows) {
                std::int64_t column = 0;
                for (; column + float_tile_columns <= x.extent[1]; column += float_tile_columns)
                    some.template operator()<float_tile_rows, float_tile_columns>(row, column);
                for (; column < x.extent[1]; ++column)
                    some.template operator()<float_tile_rows, 1>(row, column);
            }
            for (; row < part.end; ++row)
                for (std::int64_t column = 0; column < x.extent[1]; ++column)
                    some.template operator()<1, 1>(row, column);
        }
    return finite ? Outcome::done : Outcome::not_finite;
}

template <Type T> Outcome float_product_by_id(const Node& node, Share share)
{
    const auto& weights = node.source[0];
    const auto& x = node.source[1];
    const auto& chosen = node.source[2];
    const auto part = part_of(weights.extent[1], share);
    bool finite = true;
    for (std::int64_t t = 0; t < chosen.extent[1]; ++t)
        for (std::int64_t u = 0; u < chosen.extent[0]; ++u) {
            const auto expert = index_at(chosen, u, t);
            if (expert < 0 || expert >= weights.extent[2])
                return Outcome::bad_index;
            const float* const from[1] = {reinterpret_cast<const float*>(row_of(x, u % x.extent[1], t))};
            auto* out = reinterpret_cast<float*>(row_of(node.result, u, t));
            const auto some = [&]<unsigned Rows>(std::int64_t row) {
                float sums[Rows][1];
                float_tile<T, Rows, 1>(row_of(weights, row, expert), weights.stride[1], from, weights.extent[0], sums);
                for (unsigned r = 0; r < Rows; ++r) {
                    out[row + r] = sums[r][0];
                    finite &= is_finite(sums[r][0]);
                }
            };
            auto row = part.begin;
            for (; row + float_tile_rows <= part.end; row += float_tile_rows)
                some.template operator()<float_tile_rows>(row);
            for (; row < part.end; ++row)
                some.template operator()<1>(row);
        }
    return finite ? Outcome::done : Outcome::not_finite;
}
inline Outcome products_of_floats_by_id(const Node& node, Share share)
{
    switch (node.source[0].type) {
    case Type::f16: return float_product_by_id<Type::f16>(node, share);
    case Type::bf16: return float_product_by_id<Type::bf16>(node, share);
    default: return float_product_by_id<Type::f32>(node, share);
    }
}

inline Outcome product_of_floats(const Node& node, Share share)
{
    switch (node.source[0].type) {
    case Type::f16: return float_product<Type::f16>(node, share);
    case Type::bf16: return float_product<Type::bf16>(node, share);
    default: return float_product<Type::f32>(node, share);
    }
}

}  // namespace
}  // namespace altiplano::kernels
