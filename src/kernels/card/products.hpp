#pragma once

#include "kernels/card/launch.hpp"
#include "kernels/card/words.hpp"

/// mul_mat on a card (docs/arithmetic.md §4). A warp takes a row of quantised weights through many columns, or two rows through
/// a few, 32 blocks at a time, a block to each thread; then each thread adds the products of one row, column and segment in their
/// order. Plain weights: sixteen threads take a row.
namespace altiplano::kernels::card {

static inline void fail_not_finite(const Call& call)
{
    (call.preparing != 0 ? call.verdict->prepare_not_finite : call.verdict->run_not_finite) = 1;
}
static inline void fail_bad_index(const Call& call)
{
    (call.preparing != 0 ? call.verdict->prepare_bad_index : call.verdict->run_bad_index) = 1;
}

/// Where column `column` of source 1 begins, and its results.
static inline const float* column_of(const Node& node, std::int64_t column)
{
    const auto [i1, i2, i3] = row_index(node.source[1], column);
    return reinterpret_cast<const float*>(row_of(node.source[1], i1, i2, i3));
}
static inline void put_product(const Call& call, std::int64_t column, std::int64_t row, float value)
{
    const auto [i1, i2, i3] = row_index(call.node->source[1], column);
    reinterpret_cast<float*>(row_of(call.node->result, i1, i2, i3))[row] = value;
    if (!is_finite(value))
        fail_not_finite(call);
}

/// A warp per block of activations, a thread per element.
static inline void quantise(const Call& call)
{
    const auto a = activations_of(*call.node, call.activations);
    const auto i = place() / warp_threads;
    if (i >= a.columns * a.blocks)
        return;  // all of the warp
    const auto column = i / a.blocks;
    const auto block = i % a.blocks;
    const auto lane = lane_index();
    const float x = column_of(*call.node, column)[block * block_elements + lane];
    auto largest = bits_of(x) & 0x7fffffffU;
    for (unsigned step = 16; step > 0; step /= 2) {
        const auto other = from_thread(largest, lane ^ step);
        largest = other > largest ? other : largest;
    }
    const float amax = float_of(largest);
    float scale = 0.0F;
    float inverse = 0.0F;
    if (largest >= infinity_bits) {
        fail_not_finite(call);
    } else if (amax >= smallest_amax) {
        scale = amax / 127.0F;
        inverse = 127.0F / amax;
    }
    // Of what has failed nobody sees a code.
    const auto code = largest >= infinity_bits ? 0 : static_cast<std::int32_t>((x * inverse + nearest_magic) - nearest_magic);
    a.codes[column * a.k + block * block_elements + lane] = static_cast<std::int8_t>(code);
    auto sum = code;
    for (unsigned step = 8; step > 0; step /= 2)
        sum += from_thread(sum, lane ^ step);
    const auto second = from_thread(sum, 16);
    if (lane == 0) {
        a.scale[i] = scale;
        a.scaled_sum[i] = scale * static_cast<float>(sum + second);
        a.half_sums[2 * i] = sum;
        a.half_sums[2 * i + 1] = second;
    }
}

/// f(0) to f(n - 1), written out, so that arrays of that index lie in registers.
template <unsigned n, class F> static inline void each(F f)
{
    if constexpr (n > 0) {
        each<n - 1>(f);
        f(n - 1);
    }
}

/// @param rows_each  rows that a warp takes
template <Type type, unsigned rows_each> static inline void product_of(const Call& call)
{
    const Node& node = *call.node;
    const auto a = activations_of(node, call.activations);
    const auto warp = thread_index() / warp_threads;
    const auto lane = lane_index();
    const auto first_row = (static_cast<std::int64_t>(block_index()) * (thread_count() / warp_threads) + warp) * rows_each;
    const auto first = static_cast<std::int64_t>(block_row()) * product_columns;
    const auto columns = first + product_columns < a.columns ? product_columns : a.columns - first;
    const auto rows_all = node.source[0].extent[1];
    if (first_row >= rows_all)
        return;  // all of the warp
    // Past the last row the last one is computed again, and not put.
    const std::byte* weights[rows_each];
    for (unsigned r = 0; r < rows_each; ++r)
        weights[r] = row_of(node.source[0], first_row + r < rows_all ? first_row + r : rows_all - 1);
    constexpr std::int64_t pitch = warp_threads + 1;  // so that pairs of row and column lie in banks of their own
    auto* mine = shared_as<float>() + warp * (product_columns * pitch);
    const auto pair = lane % product_columns;
    const auto segment = lane / product_columns;

    // The next block's weights are on their way while this one's are worked on.
    LoadedBlock loaded[rows_each];
    const auto load = [&](std::int64_t block) {
        each<rows_each>([&](unsigned r) { loaded[r] = load_block<type>(weights[r], block); });
    };
    if (lane < a.blocks)
        load(lane);
    float total = 0.0F;
    for (std::int64_t base = 0; base < a.blocks; base += warp_threads) {
        const auto block = base + lane;
        if (block < a.blocks) {
            WordBlock w[rows_each];
            each<rows_each>([&](unsigned r) { w[r] = word_block<type>(loaded[r], weights[r], block); });
            if (block + warp_threads < a.blocks)
                load(block + warp_threads);
            for (std::int64_t c = 0; c < columns; ++c) {
                const auto x = activation_words(a, first + c, block);
                each<rows_each>([&](unsigned r) {
                    mine[(c * rows_each + r) * pitch + lane] = block_product<type>(w[r], a, x, first + c, block);
                });
            }
        } else {
            for (std::int64_t p = 0; p < columns * rows_each; ++p)
                mine[p * pitch + lane] = 0.0F;  // adds nothing to a sum that began at +0
        }
        meet_warp();
        float products[segment_blocks];
        for (std::int64_t i = 0; i < segment_blocks; ++i)
            products[i] = mine[pair * pitch + segment * segment_blocks + i];
        float sum = 0.0F;
        for (const float one : products)
            sum = sum + one;
        const float second = from_thread(sum, (lane + static_cast<unsigned>(product_columns)) % warp_threads);
        total = total + sum;
        total = total + second;
        meet_warp();
    }
    const auto row = first_row + static_cast<std::int64_t>(lane) % rows_each;
    if (lane < columns * rows_each && row < rows_all)
        put_product(call, first + static_cast<std::int64_t>(lane) / rows_each, row, total);
}
#define ALTIPLANO_X(type)                                                                                                        \
    static inline void two_rows_##type(const Call& call)                                                                         \
    {                                                                                                                            \
        product_of<Type::type, 2>(call);                                                                                         \
    }                                                                                                                            \
    static inline void one_row_##type(const Call& call)                                                                          \
    {                                                                                                                            \
        product_of<Type::type, 1>(call);                                                                                         \
    }
ALTIPLANO_BLOCK_TYPES(ALTIPLANO_X)
#undef ALTIPLANO_X

/// Element i of a plain row that is aligned to its elements.
template <Type type> static inline float plain_at(const std::byte* row, std::int64_t i)
{
    if constexpr (type == Type::f32)
        return reinterpret_cast<const float*>(row)[i];
    else if constexpr (type == Type::f16)
        return f16_to_f32(reinterpret_cast<const std::uint16_t*>(row)[i]);
    else
        return bf16_to_f32(reinterpret_cast<const std::uint16_t*>(row)[i]);
}

template <Type type> static inline void plain_product_of(const Call& call)
{
    const Node& node = *call.node;
    const auto& x = node.source[1];
    const auto& weights = node.source[0];
    const auto row = place() / 16;
    const bool inside = row < weights.extent[1];
    const auto lane = thread_index() % 16;
    const auto first = static_cast<std::int64_t>(block_row()) * plain_columns;
    const auto end = first + plain_columns < rows_of(x) ? first + plain_columns : rows_of(x);
    for (auto column = first; column < end; ++column) {
        const auto [i1, i2, i3] = row_index(x, column);
        const auto* w =
            row_of(weights, inside ? row : 0, i2 / (x.extent[2] / weights.extent[2]), i3 / (x.extent[3] / weights.extent[3]));
        const auto* values = column_of(node, column);
        float sum = 0.0F;
        for (std::int64_t i = lane; i < weights.extent[0]; i += 16)
            sum = sum + plain_at<type>(w, i) * values[i];
        for (unsigned step = 8; step > 0; step /= 2)
            sum = sum + from_thread(sum, lane_index() - lane + (lane + step) % 16);
        if (inside && lane == 0)
            put_product(call, column, row, sum);
    }
}

static inline void plain_product(const Call& call)
{
    switch (call.node->source[0].type) {
    case Type::f16: return plain_product_of<Type::f16>(call);
    case Type::bf16: return plain_product_of<Type::bf16>(call);
    default: return plain_product_of<Type::f32>(call);
    }
}

}  // namespace altiplano::kernels::card
