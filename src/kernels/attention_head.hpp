#pragma once

#include "kernels/trigonometry.hpp"

/// One query of one head of flash_attention, and the keys and values that it meets (docs/arithmetic.md §6).
namespace altiplano::kernels {

struct AttentionHead {
    const float* query;
    const std::byte* keys;
    const std::byte* values;
    const std::byte* mask;
    std::int64_t key_stride, value_stride, width;
    float scale, cap, slope;
};

/// Of row r: head by head, their queries.
static inline AttentionHead attention_head(const Node& node, std::int64_t r)
{
    const auto& q = node.source[0];
    const auto& k = node.source[1];
    const auto& v = node.source[2];
    const auto head = r / q.extent[1];
    const auto query = r % q.extent[1];
    const auto group = head / (q.extent[2] / k.extent[2]);
    return {reinterpret_cast<const float*>(row_of(q, query, head)), row_of(k, 0, group), row_of(v, 0, group),
        row_of(node.source[3], query), k.stride[1], v.stride[1], q.extent[0], float_of(node.parameters[0]),
        float_of(node.parameters[1]), slope_of(float_of(node.parameters[2]), head, q.extent[2])};
}

}  // namespace altiplano::kernels
