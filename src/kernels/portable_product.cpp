#include "kernels/portable.hpp"
#include "kernels/weights.hpp"

// MUL_MAT (docs/arithmetic.md §4).
namespace altiplano::kernels::portable {
namespace {

constexpr std::int64_t columns_at_once = 32;  ///< that share the unpacking of a row

/// The sums of products over blocks of a row of quantised weights with some columns: segments of sixteen blocks, each from zero,
/// joined in order.
void products_of_blocks(Type type, const std::byte* row, const Activations& a, std::int64_t first, std::int64_t count,
    float (&total)[columns_at_once])
{
    float segment[columns_at_once] = {};
    for (auto& one : total)
        one = 0.0F;
    for (std::int64_t b = 0; b < a.blocks; ++b) {
        const auto w = weight_block(type, row, b);
        for (std::int64_t c = 0; c < count; ++c) {
            const auto at = (first + c) * a.blocks + b;
            const auto* codes = a.codes + (first + c) * a.k + b * block_elements;
            std::int32_t halves[2] = {0, 0};
            for (int i = 0; i < 16; ++i) {
                halves[0] += w.code[i] * codes[i];
                halves[1] += w.code[i + 16] * codes[i + 16];
            }
            const auto sum = w.half_scale[0] * halves[0] + w.half_scale[1] * halves[1];
            float p = static_cast<float>(sum) * (w.scale * a.scale[at]);
            if (w.has_minimum)
                p = p + w.minimum * a.scaled_sum[at];
            if (w.has_half_minima) {
                const auto least = w.half_minimum[0] * a.half_sums[2 * at] + w.half_minimum[1] * a.half_sums[2 * at + 1];
                p = p + static_cast<float>(least) * (w.minimum * a.scale[at]);
            }
            segment[c] = segment[c] + p;
            if (b % segment_blocks == segment_blocks - 1 || b == a.blocks - 1) {
                total[c] = total[c] + segment[c];
                segment[c] = 0.0F;
            }
        }
    }
}

/// Plain weights: sixteen sums by position modulo 16, then the tree.
float product_of_floats(Type type, const std::byte* row, const float* x, std::int64_t k)
{
    float lanes[16] = {};
    for (std::int64_t i = 0; i < k; ++i)
        lanes[i % 16] = lanes[i % 16] + element_of(type, row, i) * x[i];
    return tree(lanes);
}

}  // namespace

Outcome quantise(const Node& node, Share share, std::byte* at)
{
    const auto a = activations_of(node, at);
    const auto part = part_of(a.columns * a.blocks, share);
    for (auto i = part.begin; i < part.end; ++i) {
        const auto column = i / a.blocks;
        const auto block = i % a.blocks;
        const auto [i1, i2, i3] = row_index(node.source[1], column);
        const auto* x = reinterpret_cast<const float*>(row_of(node.source[1], i1, i2, i3)) + block * block_elements;
        auto* codes = a.codes + column * a.k + block * block_elements;

        // As integers, since the largest of floats depends on the order when one of them is not a number.
        std::uint32_t largest = 0;
        for (int e = 0; e < 32; ++e) {
            const auto magnitude = bits_of(x[e]) & 0x7fffffffU;
            largest = magnitude > largest ? magnitude : largest;
        }
        if (largest >= infinity_bits)
            return Outcome::not_finite;
        const float amax = float_of(largest);
        float scale = 0.0F;
        float inverse = 0.0F;
        if (amax >= smallest_amax) {
            scale = amax / 127.0F;
            inverse = 127.0F / amax;
        }
        std::int32_t sums[2] = {0, 0};
        for (int e = 0; e < 32; ++e) {
            const auto code = static_cast<std::int32_t>((x[e] * inverse + nearest_magic) - nearest_magic);
            codes[e] = static_cast<std::int8_t>(code);
            sums[e / 16] += code;
        }
        a.scale[i] = scale;
        a.scaled_sum[i] = scale * static_cast<float>(sums[0] + sums[1]);
        a.half_sums[2 * i] = sums[0];
        a.half_sums[2 * i + 1] = sums[1];
    }
    return Outcome::done;
}

Outcome mul_mat_id(const Node& node, Share share, std::byte* at)
{
    const auto& weights = node.source[0];
    const auto& x = node.source[1];
    const auto& chosen = node.source[2];
    auto outcome = Outcome::done;
    const auto part = part_of(weights.extent[1], share);
    for (std::int64_t t = 0; t < chosen.extent[1]; ++t)
        for (std::int64_t u = 0; u < chosen.extent[0]; ++u) {
            const auto expert = index_at(chosen, u, t);
            if (expert < 0 || expert >= weights.extent[2])
                return Outcome::bad_index;
            const auto column = u % x.extent[1];
            auto* out = reinterpret_cast<float*>(row_of(node.result, u, t));
            for (auto row = part.begin; row < part.end; ++row) {
                const auto* w = row_of(weights, row, expert);
                float total[columns_at_once];
                if (is_quantised(weights.type))
                    products_of_blocks(weights.type, w, activations_of(node, at), t * x.extent[1] + column, 1, total);
                else
                    total[0] = product_of_floats(
                        weights.type, w, reinterpret_cast<const float*>(row_of(x, column, t)), weights.extent[0]);
                out[row] = total[0];
                if (!is_finite(total[0]))
                    outcome = Outcome::not_finite;
            }
        }
    return outcome;
}

Outcome mul_mat(const Node& node, Share share, std::byte* at)
{
    const auto& weights = node.source[0];
    const auto& x = node.source[1];
    auto outcome = Outcome::done;
    const auto put = [&](std::int64_t column, std::int64_t row, float value) {
        const auto [i1, i2, i3] = row_index(x, column);
        reinterpret_cast<float*>(row_of(node.result, i1, i2, i3))[row] = value;
        if (!is_finite(value))
            outcome = Outcome::not_finite;
    };
    const auto part = part_of(weights.extent[1], share);
    if (is_quantised(weights.type)) {
        const auto a = activations_of(node, at);
        for (auto row = part.begin; row < part.end; ++row)
            for (std::int64_t first = 0; first < a.columns; first += columns_at_once) {
                const auto count = first + columns_at_once < a.columns ? columns_at_once : a.columns - first;
                float total[columns_at_once];
                products_of_blocks(weights.type, row_of(weights, row), a, first, count, total);
                for (std::int64_t c = 0; c < count; ++c)
                    put(first + c, row, total[c]);
            }
        return outcome;
    }
    const auto repeat2 = x.extent[2] / weights.extent[2];
    const auto repeat3 = x.extent[3] / weights.extent[3];
    for (auto row = part.begin; row < part.end; ++row)
        for (std::int64_t column = 0; column < rows_of(x); ++column) {
            const auto [i1, i2, i3] = row_index(x, column);
            const auto* w = row_of(weights, row, i2 / repeat2, i3 / repeat3);
            put(column, row,
                product_of_floats(weights.type, w, reinterpret_cast<const float*>(row_of(x, i1, i2, i3)), weights.extent[0]));
        }
    return outcome;
}

}  // namespace altiplano::kernels::portable
