#include "kernels/attention_head.hpp"
#include "kernels/portable.hpp"
#include "kernels/weights.hpp"

// FLASH_ATTENTION (docs/arithmetic.md §6): sources q, k, v, mask, perhaps sinks.
namespace altiplano::kernels::portable {
namespace {

struct Running {
    bool any = false;
    float maximum = 0.0F;
    float weight = 0.0F;
    float output[head_max] = {};
};

float score(const AttentionHead& h, std::int64_t cell, float mask)
{
    float lanes[16] = {};
    const auto* key = h.keys + cell * h.key_stride;
    for (std::int64_t d = 0; d < h.width; ++d)
        lanes[d % 16] = lanes[d % 16] + h.query[d] * element_of(Type::f16, key, d);
    float s = tree(lanes) * h.scale;
    if (h.cap != 0.0F)
        s = tanh_of(s) * h.cap;
    return s + h.slope * mask;
}

/// Whether the keys and values of the cells that share a group with a seen one are finite.
bool finite_groups(const AttentionHead& h, std::int64_t begin, std::int64_t end, const bool* seen)
{
    bool finite = true;
    for (auto group = begin; group < end; group += cell_group) {
        const auto stop = group + cell_group < end ? group + cell_group : end;
        bool any = false;
        for (auto cell = group; cell < stop; ++cell)
            any |= seen[cell - begin];
        for (auto cell = group; any && cell < stop; ++cell)
            for (std::int64_t d = 0; d < h.width; ++d)
                finite &= is_finite(element_of(Type::f16, h.keys + cell * h.key_stride, d))
                    && is_finite(element_of(Type::f16, h.values + cell * h.value_stride, d));
    }
    return finite;
}

/// One segment of cells joins what the segments before it gave.
Outcome segment(const AttentionHead& h, std::int64_t begin, std::int64_t end, Running& run)
{
    float scores[segment_cells];
    bool seen[segment_cells];
    bool any = false;
    float maximum = 0.0F;
    for (auto cell = begin; cell < end; ++cell) {
        const auto mask = load_as<std::uint16_t>(h.mask + 2 * cell);
        auto& x = scores[cell - begin];
        seen[cell - begin] = is_seen(mask);
        if (!seen[cell - begin])
            continue;
        x = score(h, cell, f16_to_f32(mask));
        if (!is_finite(x))
            return Outcome::not_finite;
        maximum = !any || x > maximum ? x : maximum;
        any = true;
    }
    if (!any)
        return Outcome::done;
    if (!finite_groups(h, begin, end, seen))
        return Outcome::not_finite;

    float lanes[16] = {};
    float output[head_max] = {};
    for (auto cell = begin; cell < end; ++cell) {
        if (!seen[cell - begin])
            continue;
        const float p = exp_of(scores[cell - begin] - maximum);
        lanes[cell % 16] = lanes[cell % 16] + p;
        const auto* value = h.values + cell * h.value_stride;
        for (std::int64_t d = 0; d < h.width; ++d)
            output[d] = output[d] + p * element_of(Type::f16, value, d);
    }
    const float weight = tree(lanes);
    if (!run.any) {
        run.any = true;
        run.maximum = maximum;
        run.weight = weight;
        for (std::int64_t d = 0; d < h.width; ++d)
            run.output[d] = output[d];
        return Outcome::done;
    }
    const float next = run.maximum > maximum ? run.maximum : maximum;
    const float before = exp_of(run.maximum - next);
    const float here = exp_of(maximum - next);
    run.weight = run.weight * before + weight * here;
    for (std::int64_t d = 0; d < h.width; ++d)
        run.output[d] = run.output[d] * before + output[d] * here;
    run.maximum = next;
    return Outcome::done;
}

}  // namespace

Outcome flash_attention(const Node& node, Share share)
{
    const auto& q = node.source[0];
    const auto cells = node.source[1].extent[1];
    const auto part = part_of(q.extent[1] * q.extent[2], share);
    for (auto r = part.begin; r < part.end; ++r) {
        const auto head = r / q.extent[1];
        const auto query = r % q.extent[1];
        const auto h = attention_head(node, r);
        Running run;
        for (std::int64_t begin = 0; begin < cells; begin += segment_cells) {
            const auto end = begin + segment_cells < cells ? begin + segment_cells : cells;
            if (const auto outcome = segment(h, begin, end, run); outcome != Outcome::done)
                return outcome;
        }
        if (node.sources > 4) {
            const float sink = load_as<float>(node.source[4].data + 4 * head);
            if (!is_finite(sink))
                return Outcome::not_finite;
            const float next = run.maximum > sink ? run.maximum : sink;
            const float before = exp_of(run.maximum - next);
            run.weight = run.weight * before + exp_of(sink - next);
            for (std::int64_t d = 0; d < h.width; ++d)
                run.output[d] = run.output[d] * before;
        }
        auto* out = reinterpret_cast<float*>(row_of(node.result, head, query));
        const float inverse = run.any ? 1.0F / run.weight : 0.0F;
        for (std::int64_t d = 0; d < h.width; ++d) {
            out[d] = run.output[d] * inverse;
            if (!is_finite(out[d]))
                return Outcome::not_finite;
        }
    }
    return Outcome::done;
}

}  // namespace altiplano::kernels::portable
