#pragma once

#include "kernels/movement.hpp"
#include "kernels/trigonometry.hpp"

/// What a mixture of experts has besides its products: choosing, weighing and adding; every implementation shares it
/// (docs/arithmetic.md §5). Small beside the products, so it is scalar everywhere.
namespace altiplano::kernels {

/// Sources 0 and 1 behind one another along one of the extents.
static inline Outcome concat(const Node& node, Share share)
{
    const auto along = node.parameters[0];
    const auto& a = node.source[0];
    const auto& b = node.source[1];
    const auto part = part_of(rows_of(node.result), share);
    bool fine = true;
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(node.result, r);
        auto* to = row_of(node.result, i1, i2, i3);
        const auto put = [&](const std::byte* from, std::int64_t count) {
            for (std::int64_t i = 0; i < count; ++i, to += 4)
                fine &= put_element(Type::f32, to, load_as<float>(from + 4 * i));
        };
        if (along == 0) {
            put(row_of(a, i1, i2, i3), a.extent[0]);
            put(row_of(b, i1, i2, i3), b.extent[0]);
            continue;
        }
        std::int64_t at[4] = {0, i1, i2, i3};
        const bool first = at[along] < a.extent[along];
        at[along] -= first ? 0 : a.extent[along];
        put(row_of(first ? a : b, at[1], at[2], at[3]), node.result.extent[0]);
    }
    return fine ? Outcome::done : Outcome::not_finite;
}

/// Rows of source 0, each with the row of source 1 that source 2 names.
static inline Outcome add_id(const Node& node, Share share)
{
    const auto part = part_of(rows_of(node.result), share);
    bool finite = true;
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(node.result, r);
        const auto index = index_at(node.source[2], i1, i2);
        if (index < 0 || index >= node.source[1].extent[1])
            return Outcome::bad_index;
        const auto* a = row_of(node.source[0], i1, i2, i3);
        const auto* b = row_of(node.source[1], index);
        auto* to = row_of(node.result, i1, i2, i3);
        for (std::int64_t i = 0; i < node.result.extent[0]; ++i) {
            const float sum = load_as<float>(a + 4 * i) + load_as<float>(b + 4 * i);
            store_as(to + 4 * i, sum);
            finite &= is_finite(sum);
        }
    }
    return finite ? Outcome::done : Outcome::not_finite;
}

/// The numbers of a row's elements in the order of their values, equal ones by number. Each finds its own place: rows are short.
static inline Outcome argsort(const Node& node, Share share)
{
    const auto n = node.result.extent[0];
    const bool falling = node.parameters[0] != 0;
    const auto part = part_of(rows_of(node.result), share);
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(node.result, r);
        const auto* x = row_of(node.source[0], i1, i2, i3);
        auto* to = row_of(node.result, i1, i2, i3);
        for (std::int64_t i = 0; i < n; ++i) {
            const float mine = load_as<float>(x + 4 * i);
            if (mine != mine)
                return Outcome::not_finite;
            std::int64_t place = 0;
            for (std::int64_t j = 0; j < n; ++j) {
                const float other = load_as<float>(x + 4 * j);
                place += (falling ? other > mine : other < mine) || (other == mine && j < i) ? 1 : 0;
            }
            store_as(to + 4 * place, static_cast<std::int32_t>(i));
        }
    }
    return Outcome::done;
}

static inline Outcome sum_rows(const Node& node, Share share)
{
    const auto part = part_of(rows_of(node.result), share);
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(node.result, r);
        const auto* x = row_of(node.source[0], i1, i2, i3);
        float lanes[16] = {};
        for (std::int64_t i = 0; i < node.source[0].extent[0]; ++i)
            lanes[i % 16] = lanes[i % 16] + load_as<float>(x + 4 * i);
        const float sum = tree(lanes);
        store_as(row_of(node.result, i1, i2, i3), sum);
        if (!is_finite(sum))
            return Outcome::not_finite;
    }
    return Outcome::done;
}

/// Parameters: factor, bias by distance. Sources: values, perhaps a mask.
static inline Outcome soft_max(const Node& node, Share share)
{
    const auto n = node.result.extent[0];
    const float scale = float_of(node.parameters[0]);
    const bool masked = node.sources > 1;
    const auto& mask = node.source[1];
    const auto part = part_of(rows_of(node.result), share);
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(node.result, r);
        const auto* x = row_of(node.source[0], i1, i2, i3);
        auto* to = row_of(node.result, i1, i2, i3);
        const auto* masks = masked ? row_of(mask, i1, i2 % mask.extent[2], i3 % mask.extent[3]) : nullptr;
        const float slope = slope_of(float_of(node.parameters[1]), i2, node.result.extent[2]);
        const auto seen = [&](std::int64_t i) { return !masked || element_of(mask.type, masks, i) > -__builtin_inff(); };

        float most = 0.0F;
        bool any = false;
        for (std::int64_t i = 0; i < n; ++i) {
            if (!seen(i))
                continue;
            float one = load_as<float>(x + 4 * i);
            if (one == -__builtin_inff()) {  // masks itself
                store_as(to + 4 * i, one);
                continue;
            }
            one = one * scale;
            if (masked)
                one = one + slope * element_of(mask.type, masks, i);
            if (!is_finite(one))
                return Outcome::not_finite;
            store_as(to + 4 * i, one);
            most = !any || one > most ? one : most;
            any = true;
        }
        float lanes[16] = {};
        for (std::int64_t i = 0; i < n; ++i) {
            const bool counts = seen(i) && load_as<float>(to + 4 * i) > -__builtin_inff();
            const float p = counts ? exp_of(load_as<float>(to + 4 * i) - most) : 0.0F;
            store_as(to + 4 * i, p);
            lanes[i % 16] = lanes[i % 16] + p;
        }
        const float inverse = any ? 1.0F / tree(lanes) : 0.0F;
        for (std::int64_t i = 0; i < n; ++i)
            store_as(to + 4 * i, load_as<float>(to + 4 * i) * inverse);
    }
    return Outcome::done;
}

}  // namespace altiplano::kernels
