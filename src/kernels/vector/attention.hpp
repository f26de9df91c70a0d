#pragma once

#include "kernels/lanes/lanes.hpp"
#include "kernels/trigonometry.hpp"

/// FLASH_ATTENTION (docs/arithmetic.md §6): sixteen cells in lanes for the scores, sixteen elements of a head for the rest.
namespace altiplano::kernels {
namespace {

constexpr int attention_rows = 32;  ///< queries of one group of heads that meet the same keys and values at once
constexpr int across_min = 4;  ///< rows that pay for laying keys across: an element of sixteen cells in lanes
constexpr std::int64_t keys_ahead = 32;
constexpr int usual_width = 64;  ///< of a head: worth code of its own
constexpr unsigned score_rows = pieces == 1 ? 4 : 1, value_rows = pieces == 1 ? 2 : 1;  ///< that share what is loaded

struct AttentionRow {
    const float* query;
    const std::byte* mask;
    float* out;
    float slope, sink;
    float maximum, weight;
    bool any;
};

struct AttentionTile {
    AttentionTile(const Node& node, std::int64_t group_, std::int64_t ahead_bytes_, AttentionRow* rows_, int count_)
        : keys(node.source[1])
        , values(node.source[2])
        , group(group_)
        , width(node.source[0].extent[0])
        , ahead_bytes(ahead_bytes_)
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
    std::int64_t ahead_bytes;  ///< of a row of keys or values, from this group on, that are fetched ahead
    float scale, cap;
    bool sinks;
    AttentionRow* rows;
    int count;
    I16x worst = all(0);  ///< magnitudes that must be finite

    // Not set before they are computed: clearing them would cost more than a token.

    alignas(64) float cells[cell_group * head_max];  ///< keys or values of sixteen cells, widened: cell by cell, or across
    alignas(64) float scores[attention_rows * segment_cells];
    alignas(64) float outputs[attention_rows * head_max];
    alignas(64) float maxima[attention_rows * 16];  ///< of the segment's scores, lane by lane
    std::uint32_t live[attention_rows];  ///< a bit per group of cells that the row sees
    float factor[attention_rows];

    float* output(int r) { return outputs + r * width; }
};

/// Calls `some` with the rows that see a group of cells, `Most` at a time and at last one by one.
template <unsigned Most, class Some> ALTIPLANO_LANES void for_live(const AttentionTile& t, int group, Some some)
{
    int rows[attention_rows];
    unsigned count = 0;
    for (int r = 0; r < t.count; ++r)
        if ((t.live[r] >> group & 1U) != 0)
            rows[count++] = r;
    unsigned i = 0;
    for (; i + Most <= count; i += Most)
        some.template operator()<Most>(rows + i);
    if constexpr (Most > 1)
        for (; i < count; ++i)
            some.template operator()<1>(rows + i);
}

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

// Extents and pointers are taken out of the tile first: the compiler must think that every store changes them.

/// Keys two groups ahead and the values that the segment will want: the rows of a cache lie too far from one another for the
/// hardware to foresee, and most of a token's attention was waiting for them.
/// @tparam Near  3 for keys into the first cache, 2 into the second
template <int Near> ALTIPLANO_LANES void fetch_ahead(const std::byte* key, const std::byte* value, std::int64_t bytes)
{
    for (std::int64_t at = 0; at < bytes; at += 64) {
        __builtin_prefetch(key + at, 0, Near);
        __builtin_prefetch(value + at, 0, 2);
    }
}

/// @tparam Fetches  rows ahead, one with each that is widened: many at once would have to wait. Of a row, whatever this thread
/// will want of it: the first group of heads fetches for the others, so that the memory is read along, and once.
template <bool Fetches> void widen(AttentionTile& t, const Tensor& from, std::int64_t cell)
{
    const auto width = t.width;
    const auto stride = from.stride[1];
    const auto* at = row_of(from, cell, t.group);
    const auto* key = row_of(t.keys, cell + keys_ahead, t.group);
    const auto* value = row_of(t.values, cell, t.group);
    const auto value_stride = t.values.stride[1];
    const auto bytes = t.ahead_bytes;
    auto* to = t.cells;
    auto worst = t.worst;
    for (int i = 0; i < cell_group; ++i, at += stride, to += width) {
        if constexpr (Fetches) {
            fetch_ahead<2>(key, value, bytes);
            key += stride;
            value += value_stride;
        }
        for (std::int64_t d = 0; d < width; d += 16) {
            const auto x = load_halves(at + 2 * d);
            worst = larger(worst, magnitude(x));
            store16(to + d, x);
        }
    }
    t.worst = worst;
}

inline void widen_across(AttentionTile& t, const Tensor& from, std::int64_t cell)
{
    const auto width = t.width;
    const auto stride = from.stride[1];
    const auto* at = row_of(from, cell, t.group);
    auto* to = t.cells;
    auto worst = t.worst;
    for (int i = 0; i < cell_group; ++i)
        fetch_ahead<3>(row_of(t.keys, cell + keys_ahead + i, t.group), row_of(t.values, cell + i, t.group), 2 * width);
    for (std::int64_t d = 0; d < width; d += 16, at += 32) {
        F16x x[16];
        for (int i = 0; i < cell_group; ++i) {
            x[i] = load_halves(at + i * stride);
            worst = larger(worst, magnitude(x[i]));
        }
        F16x across[16];
        transpose16(x, across);
        for (int i = 0; i < 16; ++i, to += cell_group)
            store16(to, across[i]);
    }
    t.worst = worst;
}

/// Products of a query with sixteen keys that lie cell by cell.
ALTIPLANO_LANES F16x products_along(const AttentionTile& t, const float* query)
{
    const auto width = t.width;
    F16x products[16];
    for (int i = 0; i < 16; ++i)
        products[i] = load16(query) * load16(t.cells + i * width);
    for (std::int64_t d = 16; d < width; d += 16) {
        const auto q = load16(query + d);
        for (int i = 0; i < 16; ++i)
            products[i] = products[i] + q * load16(t.cells + i * width + d);
    }
    return trees(products);
}

/// The same for some queries and keys that lie across: what the tree has made of the lanes Lane, Lane + Step, Lane + 2 * Step...
/// @tparam Width  of a head where it is known, else 0
template <unsigned Rows, int Width, int Step, int Lane>
ALTIPLANO_LANES void products_across(const AttentionTile& t, const float* const* query, F16x* sums)
{
    if constexpr (Step == 16) {
        const auto width = Width != 0 ? Width : t.width;
        const auto first = load16(t.cells + Lane * cell_group);
        for (unsigned r = 0; r < Rows; ++r)
            sums[r] = all(query[r][Lane]) * first;
        for (std::int64_t d = Lane + 16; d < width; d += 16) {
            const auto key = load16(t.cells + d * cell_group);
            for (unsigned r = 0; r < Rows; ++r)
                sums[r] = sums[r] + all(query[r][d]) * key;
        }
    } else {
        products_across<Rows, Width, 2 * Step, Lane>(t, query, sums);
        F16x others[Rows];
        products_across<Rows, Width, 2 * Step, Lane + Step>(t, query, others);
        for (unsigned r = 0; r < Rows; ++r)
            sums[r] = sums[r] + others[r];
    }
}

/// What a row's products with sixteen cells weigh, before the exponential.
ALTIPLANO_LANES void put_scores(AttentionTile& t, int r, std::int64_t cell, int group, F16x products)
{
    auto s = products * all(t.scale);
    if (t.cap != 0.0F)
        s = tanh16(s) * all(t.cap);
    const auto mask = load_halves(t.rows[r].mask + 2 * cell);
    const auto unseen = all(-__builtin_inff());
    s = s + all(t.rows[r].slope) * mask;
    t.worst = larger(t.worst, magnitude(if_greater(mask, unseen, s, all(0.0F))));
    s = if_greater(mask, unseen, s, unseen);
    store16(t.scores + r * segment_cells + group * cell_group, s);
    const auto before = load16(t.maxima + 16 * r);
    store16(t.maxima + 16 * r, if_greater(s, before, s, before));
}

inline void score_group(AttentionTile& t, const Tensor& keys, std::int64_t cell, int group)
{
    if (t.count < across_min) {
        widen<true>(t, keys, cell);
        for_live<1>(
            t, group, [&]<unsigned>(const int* r) { put_scores(t, *r, cell, group, products_along(t, t.rows[*r].query)); });
        return;
    }
    widen_across(t, keys, cell);
    for_live<score_rows>(t, group, [&]<unsigned Rows>(const int* r) {
        const float* query[Rows];
        for (unsigned i = 0; i < Rows; ++i)
            query[i] = t.rows[r[i]].query;
        F16x products[Rows];
        if (pieces == 1 && t.width == usual_width)
            products_across<Rows, usual_width, 1, 0>(t, query, products);
        else
            products_across<Rows, 0, 1, 0>(t, query, products);
        for (unsigned i = 0; i < Rows; ++i)
            put_scores(t, r[i], cell, group, products[i]);
    });
}

/// Scores become weights; each row's running maximum, weight and output make room for the segment.
inline void weigh(AttentionTile& t)
{
    for (int r = 0; r < t.count; ++r) {
        if (t.live[r] == 0)
            continue;
        auto& row = t.rows[r];
        float most = -__builtin_inff();
        for (int lane = 0; lane < 16; ++lane)
            most = t.maxima[16 * r + lane] > most ? t.maxima[16 * r + lane] : most;
        auto sums = all(0.0F);
        for (int group = 0; group < 16; ++group) {
            if ((t.live[r] >> group & 1U) == 0)
                continue;
            auto* at = t.scores + r * segment_cells + group * cell_group;
            const auto p = exp16(load16(at) - all(most));
            store16(at, p);
            sums = sums + p;
        }
        const float weight = tree16(sums);
        for (std::int64_t d = 0; d < t.width; d += 16)
            store16(t.output(r) + d, all(0.0F));
        if (!row.any) {
            row.any = true;
            row.maximum = most;
            row.weight = weight;
            t.factor[r] = -1.0F;  // the first: its output is taken as it is
            continue;
        }
        const float next = row.maximum > most ? row.maximum : most;
        const float before = exp_of(row.maximum - next);
        t.factor[r] = exp_of(most - next);
        row.weight = row.weight * before + weight * t.factor[r];
        row.maximum = next;
        for (std::int64_t d = 0; d < t.width; d += 16)
            store16(row.out + d, load16(row.out + d) * all(before));
    }
}

/// Some elements of some rows' outputs: what the values of sixteen cells add, cell by cell.
template <unsigned Rows, unsigned Vectors>
ALTIPLANO_LANES void add_values(AttentionTile& t, const int* r, int group, std::int64_t d)
{
    const auto width = t.width;
    const auto* values = t.cells + d;
    const float* weights[Rows];
    F16x sums[Rows][Vectors];
    for (unsigned i = 0; i < Rows; ++i) {
        weights[i] = t.scores + r[i] * segment_cells + group * cell_group;
        for (unsigned v = 0; v < Vectors; ++v)
            sums[i][v] = load16(t.output(r[i]) + d + 16 * v);
    }
    for (int cell = 0; cell < cell_group; ++cell, values += width)
        for (unsigned v = 0; v < Vectors; ++v) {
            const auto value = load16(values + 16 * v);
            for (unsigned i = 0; i < Rows; ++i)
                sums[i][v] = sums[i][v] + all(weights[i][cell]) * value;
        }
    for (unsigned i = 0; i < Rows; ++i)
        for (unsigned v = 0; v < Vectors; ++v)
            store16(t.output(r[i]) + d + 16 * v, sums[i][v]);
}

inline void value_group(AttentionTile& t, int group)
{
    for_live<value_rows>(t, group, [&]<unsigned Rows>(const int* r) {
        std::int64_t d = 0;
        for (; d + 64 <= t.width; d += 64)
            add_values<Rows, 4>(t, r, group, d);
        for (; d < t.width; d += 16)
            add_values<Rows, 1>(t, r, group, d);
    });
}

inline void join(AttentionTile& t)
{
    for (int r = 0; r < t.count; ++r) {
        if (t.live[r] == 0)
            continue;
        auto* out = t.rows[r].out;
        const auto* here = t.output(r);
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
            store16(t.maxima + 16 * r, all(-__builtin_inff()));
        for (auto cell = begin; cell < end; cell += cell_group)
            if (const auto group = static_cast<int>((cell - begin) / cell_group); (live >> group & 1U) != 0) {
                score_group(t, t.keys, cell, group);
            }
        weigh(t);
        for (auto cell = begin; cell < end; cell += cell_group)
            if (const auto group = static_cast<int>((cell - begin) / cell_group); (live >> group & 1U) != 0) {
                widen<false>(t, t.values, cell);
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
        for (std::int64_t d = 0; d < t.width; d += 16) {
            const auto x = row.any ? load16(row.out + d) * all(inverse) : all(0.0F);
            t.worst = larger(t.worst, magnitude(x));
            store16(row.out + d, x);
        }
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
        // The first of this thread's tiles fetches what all of its groups want, where that lies in one piece.
        const bool first = work == part.begin;
        const auto together = first && k.stride[2] == 2 * q.extent[0] && node.source[2].stride[2] == k.stride[2]
            ? (part.end - 1) / tiles - group + 1
            : 1;
        AttentionTile tile(node, group, together * 2 * q.extent[0], rows, static_cast<int>(end - begin));
        attend(tile);
        finite &= largest_of(tile.worst) < infinity_bits;
    }
    return finite ? Outcome::done : Outcome::not_finite;
}

}  // namespace
}  // namespace altiplano::kernels
