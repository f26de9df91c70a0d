#pragma once

#include "kernels/attention_head.hpp"
#include "kernels/card/products.hpp"

/// flash_attention on a card (docs/arithmetic.md §6). A block of 256 threads takes a segment: first a cell to each thread, then
/// an element of the output to each.
namespace altiplano::kernels::card {

static_assert(head_max <= segment_cells);

struct AttentionPart {
    bool any = false;
    float maximum = 0.0F;
    float weight = 0.0F;
    float output = 0.0F;  ///< element number `thread_index()`
};

/// What the threads of a block share.
struct AttentionShared {
    float query[head_max];
    float weight[segment_cells];
    std::uint32_t seen[segment_cells];
    float some[16];
};

/// Sixteen halves at once where they lie so.
struct alignas(16) EightHalves {
    std::uint16_t half[8];
};
/// The product of a query with a key, and whether the key is finite.
static inline float key_product(const float* query, const std::byte* key, std::int64_t width, bool& finite)
{
    float lanes[16] = {};
    std::uint32_t worst = 0;
    const auto add = [&](std::int64_t d, int lane, std::uint16_t half) {
        const auto magnitude = half & 0x7c00U;
        worst = magnitude > worst ? magnitude : worst;
        lanes[lane] = lanes[lane] + query[d] * f16_to_f32(half);
    };
    if (reinterpret_cast<std::uintptr_t>(key) % 16 == 0) {
        // The next halves are on their way while these are worked on.
        const auto* halves = reinterpret_cast<const EightHalves*>(key);
        auto next_first = halves[0];
        auto next_second = halves[1];
        for (std::int64_t d = 0; d < width; d += 16) {
            const auto first = next_first;
            const auto second = next_second;
            if (d + 16 < width) {
                next_first = halves[d / 8 + 2];
                next_second = halves[d / 8 + 3];
            }
            for (int i = 0; i < 8; ++i)
                add(d + i, i, first.half[i]);
            for (int i = 0; i < 8; ++i)
                add(d + 8 + i, 8 + i, second.half[i]);
        }
    } else {
        for (std::int64_t d = 0; d < width; d += 16)
            for (int i = 0; i < 16; ++i)
                add(d + i, i, reinterpret_cast<const std::uint16_t*>(key)[d + i]);
    }
    finite &= worst != 0x7c00U;
    return tree(lanes);
}

/// One segment by itself. Inlined, as whatever gets a pointer to the node would make a copy of it in each thread.
[[gnu::always_inline]] static inline AttentionPart attention_segment(
    const Call& call, const AttentionHead& h, std::int64_t begin, std::int64_t cells)
{
    auto& shared = *shared_as<AttentionShared>();
    const std::int64_t thread = thread_index();
    const auto count = begin + segment_cells < cells ? segment_cells : cells - begin;
    meet();  // with what was here before
    if (thread < h.width)
        shared.query[thread] = h.query[thread];
    const auto mask = thread < count ? load_as<std::uint16_t>(h.mask + 2 * (begin + thread)) : std::uint16_t{0xfc00};
    const bool seen = is_seen(mask);
    shared.seen[thread] = seen ? 1 : 0;
    meet();
    std::uint32_t group = 0;
    for (std::int64_t i = 0; i < cell_group; ++i)
        group |= shared.seen[thread / cell_group * cell_group + i];
    float x = 0.0F;
    bool finite = true;
    if (group != 0 && thread < count) {
        x = key_product(shared.query, h.keys + (begin + thread) * h.key_stride, h.width, finite) * h.scale;
        if (h.cap != 0.0F)
            x = tanh_of(x) * h.cap;
        x = x + h.slope * f16_to_f32(mask);
        if (seen)
            finite &= is_finite(x);
    }
    shared.weight[thread] = x;
    meet();
    AttentionPart part;
    if (thread < 16) {
        bool some = false;
        float most = 0.0F;
        for (auto c = thread; c < segment_cells; c += 16)
            if (shared.seen[c] != 0) {
                most = !some || shared.weight[c] > most ? shared.weight[c] : most;
                some = true;
            }
        shared.some[thread] = some ? most : -__builtin_inff();
    }
    meet();
    part.maximum = shared.some[0];
    for (int i = 1; i < 16; ++i)
        part.maximum = shared.some[i] > part.maximum ? shared.some[i] : part.maximum;
    part.any = part.maximum != -__builtin_inff();  // a seen one is finite, or all has failed
    meet();
    const float p = seen ? exp_of(x - part.maximum) : 0.0F;
    shared.weight[thread] = p;
    meet();
    if (thread < 16) {
        float lane = 0.0F;
        for (auto c = thread; c < segment_cells; c += 16)
            lane = lane + shared.weight[c];  // unseen ones are +0
        shared.some[thread] = lane;
    }
    meet();
    float lanes[16];
    for (int i = 0; i < 16; ++i)
        lanes[i] = shared.some[i];
    part.weight = tree(lanes);
    if (thread < h.width) {
        const auto stride = h.value_stride;
        const auto* values = h.values + begin * stride + 2 * thread;
        // The next group is on its way while this one is added up.
        std::uint16_t next[cell_group];
        const auto load = [&](std::int64_t first) {
            each<cell_group>([&](unsigned i) {
                const auto c = first + i;
                next[i] = *reinterpret_cast<const std::uint16_t*>(values + (c < count ? c : count - 1) * stride);
            });
        };
        load(0);
        for (std::int64_t first = 0; first < count; first += cell_group) {
            std::uint16_t halves[cell_group];
            each<cell_group>([&](unsigned i) { halves[i] = next[i]; });
            load(first + cell_group);
            std::uint32_t any = 0;
            each<cell_group>([&](unsigned i) { any |= shared.seen[first + i]; });
            if (any == 0)
                continue;
            each<cell_group>([&](unsigned i) {
                finite &= first + i >= count || (halves[i] & 0x7c00U) != 0x7c00U;
                if (shared.seen[first + i] != 0)
                    part.output = part.output + shared.weight[first + i] * f16_to_f32(halves[i]);
            });
        }
    }
    if (!finite)
        fail_not_finite(call);
    return part;
}

/// A segment joins what those before it gave.
static inline void join(AttentionPart& run, const AttentionPart& part)
{
    if (!part.any)
        return;
    if (!run.any) {
        run = part;
        return;
    }
    const float next = run.maximum > part.maximum ? run.maximum : part.maximum;
    const float before = exp_of(run.maximum - next);
    const float here = exp_of(part.maximum - next);
    run.weight = run.weight * before + part.weight * here;
    run.output = run.output * before + part.output * here;
    run.maximum = next;
}

[[gnu::always_inline]] static inline void put_attention(const Call& call, std::int64_t r, AttentionPart run)
{
    const Node& node = *call.node;
    const auto head = r / node.source[0].extent[1];
    const auto query = r % node.source[0].extent[1];
    const std::int64_t thread = thread_index();
    bool finite = true;
    if (node.sources > 4) {
        const float sink = load_as<float>(node.source[4].data + 4 * head);
        finite &= is_finite(sink);
        const float next = run.maximum > sink ? run.maximum : sink;
        const float before = exp_of(run.maximum - next);
        run.weight = run.weight * before + exp_of(sink - next);
        run.output = run.output * before;
    }
    if (thread < node.source[0].extent[0]) {
        const float inverse = run.any ? 1.0F / run.weight : 0.0F;
        const float y = run.output * inverse;
        reinterpret_cast<float*>(row_of(node.result, head, query))[thread] = y;
        finite &= is_finite(y);
    }
    if (!finite)
        fail_not_finite(call);
}

static inline void attention(const Call& call)
{
    const auto h = attention_head(*call.node, block_index());
    const auto cells = call.node->source[1].extent[1];
    AttentionPart run;
    for (std::int64_t begin = 0; begin < cells; begin += segment_cells)
        join(run, attention_segment(call, h, begin, cells));
    put_attention(call, block_index(), run);
}

static inline float* part_at(const Call& call, std::int64_t r, std::int64_t segment)
{
    const auto segments = (call.node->source[1].extent[1] + segment_cells - 1) / segment_cells;
    return reinterpret_cast<float*>(call.parts) + (r * segments + segment) * part_floats(call.node->source[0].extent[0]);
}

/// Segments along the second extent.
static inline void attention_segments(const Call& call)
{
    const auto h = attention_head(*call.node, block_index());
    const auto part =
        attention_segment(call, h, static_cast<std::int64_t>(block_row()) * segment_cells, call.node->source[1].extent[1]);
    auto* at = part_at(call, block_index(), block_row());
    if (thread_index() == 0) {
        at[0] = part.any ? 1.0F : 0.0F;
        at[1] = part.maximum;
        at[2] = part.weight;
    }
    if (thread_index() < h.width)
        at[3 + thread_index()] = part.output;
}

static inline void attention_join(const Call& call)
{
    const auto cells = call.node->source[1].extent[1];
    const bool mine = thread_index() < call.node->source[0].extent[0];
    AttentionPart run;
    for (std::int64_t segment = 0; segment * segment_cells < cells; ++segment) {
        const auto* at = part_at(call, block_index(), segment);
        join(run, {at[0] != 0.0F, at[1], at[2], mine ? at[3 + thread_index()] : 0.0F});
    }
    put_attention(call, block_index(), run);
}

}  // namespace altiplano::kernels::card
