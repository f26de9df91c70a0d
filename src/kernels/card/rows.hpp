#pragma once

#include "kernels/card/products.hpp"
#include "kernels/elements.hpp"
#include "kernels/movement.hpp"
#include "kernels/rotation.hpp"

/// What works row by row on a card (docs/arithmetic.md §5).
namespace altiplano::kernels::card {

/// lanes() of §1 over `term(i)`, i < n, by a whole block; every thread gets it.
template <class Term> static inline float lanes_of_row(std::int64_t n, Term term)
{
    constexpr std::int64_t chunk = 4096;
    auto* terms = shared_as<float>();
    auto* sums = terms + chunk;
    const std::int64_t thread = thread_index();
    float lane = 0.0F;
    for (std::int64_t base = 0; base < n; base += chunk) {
        const auto here = base + chunk < n ? chunk : n - base;
        for (auto i = thread; i < here; i += thread_count())
            terms[i] = term(base + i);
        meet();
        if (thread < 16) {
            // Fetched before they are added, since each addition waits for the one before.
            constexpr int ahead = 16;
            auto i = thread;
            for (; i + 16 * (ahead - 1) < here; i += 16 * ahead) {
                float some[ahead];
                for (int j = 0; j < ahead; ++j)
                    some[j] = terms[i + 16 * j];
                for (const float one : some)
                    lane = lane + one;
            }
            for (; i < here; i += 16)
                lane = lane + terms[i];
        }
        meet();
    }
    if (thread < 16)
        sums[thread] = lane;
    meet();
    float all[16];
    for (int i = 0; i < 16; ++i)
        all[i] = sums[i];
    meet();
    return tree(all);
}

/// A block per row.
static inline void norm(const Call& call)
{
    const Node& node = *call.node;
    const auto [i1, i2, i3] = row_index(node.result, block_index());
    const auto n = node.result.extent[0];
    const auto* x = reinterpret_cast<const float*>(row_of(node.source[0], i1, i2, i3));
    auto* y = reinterpret_cast<float*>(row_of(node.result, i1, i2, i3));
    const float epsilon = float_of(node.parameters[0]);
    float mean = 0.0F;
    float scale = 0.0F;
    switch (node.op) {
    case Op::rms_norm: {
        const float squares = lanes_of_row(n, [&](std::int64_t i) { return x[i] * x[i]; }) / static_cast<float>(n);
        scale = 1.0F / root_of(squares + epsilon);
        break;
    }
    case Op::l2_norm: {
        const float length = root_of(lanes_of_row(n, [&](std::int64_t i) { return x[i] * x[i]; }));
        scale = 1.0F / (length > epsilon ? length : epsilon);
        break;
    }
    default: {
        mean = lanes_of_row(n, [&](std::int64_t i) { return x[i]; }) / static_cast<float>(n);
        const auto square = [&](std::int64_t i) {
            const float d = x[i] - mean;
            return d * d;
        };
        scale = 1.0F / root_of(lanes_of_row(n, square) / static_cast<float>(n) + epsilon);
    }
    }
    bool finite = true;
    for (std::int64_t i = thread_index(); i < n; i += thread_count()) {
        y[i] = (node.op == Op::norm ? x[i] - mean : x[i]) * scale;
        finite &= is_finite(y[i]);
    }
    if (!finite)
        fail_not_finite(call);
}

/// A thread per element, rows along the second extent of the launch.
static inline void elements(const Call& call)
{
    const Node& node = *call.node;
    const auto& second = node.source[1];
    const auto i = place();
    if (i >= node.result.extent[0])
        return;
    const auto [i1, i2, i3] = row_index(node.result, block_row());
    const float a = reinterpret_cast<const float*>(row_of(node.source[0], i1, i2, i3))[i];
    const auto b = [&] {
        const auto* row = row_of(second, i1 % second.extent[1], i2 % second.extent[2], i3 % second.extent[3]);
        return reinterpret_cast<const float*>(row)[second.extent[0] == 1 ? 0 : i];
    };
    float y = 0.0F;
    switch (node.op) {
    case Op::scale: y = a * float_of(node.parameters[0]) + float_of(node.parameters[1]); break;
    case Op::clamp: y = clamp_of(a, float_of(node.parameters[0]), float_of(node.parameters[1])); break;
    case Op::swiglu_oai: y = swiglu_oai_of(a, b(), float_of(node.parameters[0]), float_of(node.parameters[1])); break;
    default: y = node.sources == 1 ? unary_of(node.op, a) : binary_of(node.op, a, b());
    }
    reinterpret_cast<float*>(row_of(node.result, i1, i2, i3))[i] = y;
    if (!may_stand(node.op, y))
        fail_not_finite(call);
}

/// A thread per pair of each position.
static inline void angles(const Call& call)
{
    const Node& node = *call.node;
    const auto pairs = static_cast<std::int64_t>(node.parameters[0]) / 2;
    const auto n = place();
    if (n >= pairs * node.result.extent[2])
        return;
    const double log_base = log_double(static_cast<double>(float_of(node.parameters[2])));
    const double frequency = frequency_of(node, n % pairs, log_base);
    if (!put_angle(node, n / pairs, frequency, reinterpret_cast<float*>(call.angles) + 2 * n))
        fail_not_finite(call);
}

/// A thread per pair, or per element that is not turned; rows along the second extent.
static inline void rope(const Call& call)
{
    const Node& node = *call.node;
    const auto rotated = static_cast<std::int64_t>(node.parameters[0]);
    const auto pairs = rotated / 2;
    const auto i = place();
    if (i >= pairs + node.result.extent[0] - rotated)
        return;
    const auto [i1, i2, i3] = row_index(node.result, block_row());
    const auto* x = reinterpret_cast<const float*>(row_of(node.source[0], i1, i2, i3));
    auto* y = reinterpret_cast<float*>(row_of(node.result, i1, i2, i3));
    bool finite = true;
    if (i < pairs) {
        finite = rotate(node, x, y, i, reinterpret_cast<const float*>(call.angles) + (i2 * pairs + i) * 2);
    } else {
        const auto at = i - pairs + rotated;
        y[at] = x[at];
        finite = is_finite(y[at]);
    }
    if (!finite)
        fail_not_finite(call);
}

/// A thread per 32 elements, rows along the second extent.
static inline void get_rows(const Call& call)
{
    const Node& node = *call.node;
    const auto& table = node.source[0];
    const auto width = node.result.extent[0];
    const auto block = place();
    if (block * block_elements >= width)
        return;
    const auto [i1, i2, i3] = row_index(node.result, block_row());
    const auto index = index_at(node.source[1], i1, i2, i3);
    if (index < 0 || index >= table.extent[1])
        return fail_bad_index(call);
    const auto* from = row_of(table, index, i2, i3);
    auto* to = reinterpret_cast<float*>(row_of(node.result, i1, i2, i3));
    const auto end = (block + 1) * block_elements < width ? (block + 1) * block_elements : width;
    bool fine = true;
    if (is_quantised(table.type)) {
        const auto w = weight_block(table.type, from, block);
        for (int e = 0; e < 32; ++e) {
            to[block * block_elements + e] = widened(w, e);
            fine &= is_number(widened(w, e));
        }
    } else {
        for (auto i = block * block_elements; i < end; ++i) {
            to[i] = element_of(table.type, from, i);
            fine &= is_number(to[i]);
        }
    }
    if (!fine)
        fail_not_finite(call);
}

/// A thread per element of a row, through all rows: the last of equal indices stays.
static inline void set_rows(const Call& call)
{
    const Node& node = *call.node;
    const auto& rows = node.source[0];
    const auto step = format_of(node.result.type).block_bytes;
    const auto i = place();
    if (i >= rows.extent[0])
        return;
    for (std::int64_t r = 0; r < rows.extent[1]; ++r) {
        const auto index = index_at(node.source[1], r);
        if (index < 0 || index >= node.result.extent[1])
            fail_bad_index(call);
        else if (!put_element(node.result.type, row_of(node.result, index) + i * step, load_as<float>(row_of(rows, r) + 4 * i)))
            fail_not_finite(call);
    }
}

}  // namespace altiplano::kernels::card
