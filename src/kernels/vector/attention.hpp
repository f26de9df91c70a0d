#pragma once

#include "kernels/lanes/lanes.hpp"
#include "kernels/trigonometry.hpp"

/// FLASH_ATTENTION (docs/arithmetic.md §6): sixteen cells in lanes for the scores, sixteen elements of a head for the rest.
namespace altiplano::kernels {
namespace {

constexpr int attention_rows = 32;  ///< queries of one group of heads that meet the same keys and values at once

struct AttentionRow {
    const float* query;
    const std::byte* mask;
    float* out;
    float slope, sink;
    float maximum, weight;
    bool any;
};

struct AttentionTile {
    AttentionTile(const Node& node, std::int64_t group_, AttentionRow* rows_, int count_)
        : keys(node.source[1])
        , values(node.source[2])
        , group(group_)
        , width(node.source[0].extent[0])
        , scale(float_of(node.parameters[0]))
        , cap(float_of(node.parameters[1]))
        , sinks(node.sources > 4)
        , rows(rows_)
        , count(count_)
    {
    }

    const Tensor& keys;
    const Tensor& values;
    std::int64_t group, width;
    float scale, cap;
    bool sinks;
    AttentionRow* rows;
    int count;
    bool finite = true;

    // Not set before they are computed: clearing them would cost more than a token.

    alignas(64) float cells[cell_group * head_max];  ///< keys or values of sixteen cells, widened
    alignas(64) float scores[attention_rows * segment_cells];
    alignas(64) float outputs[attention_rows * head_max];
    std::uint32_t live[attention_rows];  ///< a bit per group of cells that the row sees
    float segment_maximum[attention_rows];
    float factor[attention_rows];
};

/// Which groups of sixteen cells each row sees; rows of one query share their mask. @return what any of them sees
inline std::uint32_t find_live(AttentionTile& t, std::int64_t begin, std::int64_t end)
{
    std::uint32_t any = 0;
    for (int r = 0; r < t.count; ++r) {
        if (r > 0 && t.rows[r].mask == t.rows[r - 1].mask) {
            t.live[r] = t.live[r - 1];
            continue;
        }
        t.live[r] = 0;
        for (auto cell = begin; cell < end; cell += cell_group) {
            const auto mask = load_halves(t.rows[r].mask + 2 * cell);
            const auto seen = bits(if_greater(mask, all(-__builtin_inff()), all(1.0F), all(0.0F)));
            if (largest_of(seen) != 0)
                t.live[r] |= 1U << ((cell - begin) / cell_group);
        }
        any |= t.live[r];
    }
    return any;
}

inline void widen(AttentionTile& t, const Tensor& from, std::int64_t cell)
{
    auto worst = all(0);
    for (int i = 0; i < cell_group; ++i) {
        const auto* at = row_of(from, cell + i, t.group);
        for (std::int64_t d = 0; d < t.width; d += 16) {
            const auto x = load_halves(at + 2 * d);
            worst = larger(worst, magnitude(x));
            store16(t.cells + i * head_max + d, x);
        }
    }
    t.finite &= largest_of(worst) < infinity_bits;
}

inline void score_group(AttentionTile& t, std::int64_t cell, int group)
{
    for (int r = 0; r < t.count; ++r) {
        if ((t.live[r] >> group & 1U) == 0)
            continue;
        const auto* query = t.rows[r].query;
        F16x products[16];
        for (int i = 0; i < 16; ++i)
            products[i] = load16(query) * load16(t.cells + i * head_max);
        for (std::int64_t d = 16; d < t.width; d += 16) {
            const auto q = load16(query + d);
            for (int i = 0; i < 16; ++i)
                products[i] = products[i] + q * load16(t.cells + i * head_max + d);
        }
        auto s = trees(products) * all(t.scale);
        if (t.cap != 0.0F)
            s = tanh16(s) * all(t.cap);
        const auto mask = load_halves(t.rows[r].mask + 2 * cell);
        const auto unseen = all(-__builtin_inff());
        s = s + all(t.rows[r].slope) * mask;
        t.finite &= largest_of(magnitude(if_greater(mask, unseen, s, all(0.0F)))) < infinity_bits;
        s = if_greater(mask, unseen, s, unseen);
        store16(t.scores + r * segment_cells + group * cell_group, s);
        float lanes[16];
        store16(lanes, s);
        for (const auto lane : lanes)
            t.segment_maximum[r] = lane > t.segment_maximum[r] ? lane : t.segment_maximum[r];
    }
}

/// Scores become weights; each row's running maximum, weight and output make room for the segment.
inline void weigh(AttentionTile& t)
{
    for (int r = 0; r < t.count; ++r) {
        if (t.live[r] == 0)
            continue;
        auto& row = t.rows[r];
        auto sums = all(0.0F);
        for (int group = 0; group < 16; ++group) {
            if ((t.live[r] >> group & 1U) == 0)
                continue;
            auto* at = t.scores + r * segment_cells + group * cell_group;
            const auto p = exp16(load16(at) - all(t.segment_maximum[r]));
            store16(at, p);
            sums = sums + p;
        }
        const float weight = tree16(sums);
        for (std::int64_t d = 0; d < t.width; d += 16)
            store16(t.outputs + r * head_max + d, all(0.0F));
        if (!row.any) {
            row.any = true;
            row.maximum = t.segment_maximum[r];
            row.weight = weight;
            t.factor[r] = -1.0F;  // the first: its output is taken as it is
            continue;
        }
        const float next = row.maximum > t.segment_maximum[r] ? row.maximum : t.segment_maximum[r];
        const float before = exp_of(row.maximum - next);
        t.factor[r] = exp_of(t.segment_maximum[r] - next);
        row.weight = row.weight * before + weight * t.factor[r];
        row.maximum = next;
        for (std::int64_t d = 0; d < t.width; d += 16)
            store16(row.out + d, load16(row.out + d) * all(before));
    }
}

template <unsigned Vectors> ALTIPLANO_LANES void gather_values(const float* cells, const float* weights, float* output)
{
    F16x sum[Vectors];
    for (unsigned v = 0; v < Vectors; ++v)
        sum[v] = load16(output + 16 * v);
    for (int i = 0; i < cell_group; ++i)
        for (unsigned v = 0; v < Vectors; ++v)
            sum[v] = sum[v] + all(weights[i]) * load16(cells + i * head_max + 16 * v);
    for (unsigned v = 0; v < Vectors; ++v)
        store16(output + 16 * v, sum[v]);
}

inline void value_group(AttentionTile& t, int group)
{
    for (int r = 0; r < t.count; ++r) {
        if ((t.live[r] >> group & 1U) == 0)
            continue;
        const auto* weights = t.scores + r * segment_cells + group * cell_group;
        auto* output = t.outputs + r * head_max;
        std::int64_t d = 0;
        for (; d + 64 <= t.width; d += 64)
            gather_values<4>(t.cells + d, weights, output + d);
        for (; d < t.width; d += 16)
            gather_values<1>(t.cells + d, weights, output + d);
    }
}

inline void join(AttentionTile& t)
{
    for (int r = 0; r < t.count; ++r) {
        if (t.live[r] == 0)
            continue;
        auto* out = t.rows[r].out;
        const auto* here = t.outputs + r * head_max;
        for (std::int64_t d = 0; d < t.width; d += 16)
            store16(out + d, t.factor[r] < 0.0F ? load16(here + d) : load16(out + d) + load16(here + d) * all(t.factor[r]));
    }
}

inline void attend(AttentionTile& t)
{
    const auto cells = t.keys.extent[1];
    for (std::int64_t begin = 0; begin < cells; begin += segment_cells) {
        const auto end = begin + segment_cells < cells ? begin + segment_cells : cells;
        const auto live = find_live(t, begin, end);
        if (live == 0)
            continue;
        for (int r = 0; r < t.count; ++r)
            t.segment_maximum[r] = -__builtin_inff();
        for (auto cell = begin; cell < end; cell += cell_group)
            if (const auto group = static_cast<int>((cell - begin) / cell_group); (live >> group & 1U) != 0) {
                widen(t, t.keys, cell);
                score_group(t, cell, group);
            }
        weigh(t);
        for (auto cell = begin; cell < end; cell += cell_group)
            if (const auto group = static_cast<int>((cell - begin) / cell_group); (live >> group & 1U) != 0) {
                widen(t, t.values, cell);
                value_group(t, group);
            }
        join(t);
    }
    for (int r = 0; r < t.count; ++r) {
        auto& row = t.rows[r];
        if (t.sinks && row.any) {
            const float next = row.maximum > row.sink ? row.maximum : row.sink;
            const float before = exp_of(row.maximum - next);
            row.weight = row.weight * before + exp_of(row.sink - next);
            for (std::int64_t d = 0; d < t.width; d += 16)
                store16(row.out + d, load16(row.out + d) * all(before));
        }
        const float inverse = row.any ? 1.0F / row.weight : 0.0F;
        auto worst = all(0);
        for (std::int64_t d = 0; d < t.width; d += 16) {
            const auto x = row.any ? load16(row.out + d) * all(inverse) : all(0.0F);
            worst = larger(worst, magnitude(x));
            store16(row.out + d, x);
        }
        t.finite &= largest_of(worst) < infinity_bits;
    }
}

inline Outcome flash_attention(const Node& node, Share share)
{
    const auto& q = node.source[0];
    const auto& k = node.source[1];
    const auto& mask = node.source[3];
    const auto heads_per_group = q.extent[2] / k.extent[2];
    const auto rows_per_group = q.extent[1] * heads_per_group;
    const auto tiles = (rows_per_group + attention_rows - 1) / attention_rows;
    const auto part = part_of(k.extent[2] * tiles, share);
    bool finite = true;
    for (auto work = part.begin; work < part.end; ++work) {
        const auto group = work / tiles;
        const auto begin = work % tiles * attention_rows;
        const auto end = begin + attention_rows < rows_per_group ? begin + attention_rows : rows_per_group;
        AttentionRow rows[attention_rows];
        for (auto r = begin; r < end; ++r) {
            const auto query = r / heads_per_group;
            const auto head = group * heads_per_group + r % heads_per_group;
            const float sink = node.sources > 4 ? load_as<float>(node.source[4].data + 4 * head) : 0.0F;
            if (!is_finite(sink))
                return Outcome::not_finite;
            rows[r - begin] = {reinterpret_cast<const float*>(row_of(q, query, head)), row_of(mask, query),
                reinterpret_cast<float*>(row_of(node.result, head, query)),
                slope_of(float_of(node.parameters[2]), head, q.extent[2]), sink, 0.0F, 0.0F, false};
        }
        AttentionTile tile(node, group, rows, static_cast<int>(end - begin));
        attend(tile);
        finite &= tile.finite;
    }
    return finite ? Outcome::done : Outcome::not_finite;
}

}  // namespace
}  // namespace altiplano::kernels
