#include "kernels/elements.hpp"
#include "kernels/experts.hpp"
#include "kernels/portable.hpp"
#include "kernels/rotation.hpp"

// What works row by row, and rotary positions (docs/arithmetic.md §5).
namespace altiplano::kernels::portable {
namespace {

void rms_norm(const float* x, float* y, std::int64_t n, float epsilon)
{
    float lanes[16] = {};
    for (std::int64_t i = 0; i < n; ++i)
        lanes[i % 16] = lanes[i % 16] + x[i] * x[i];
    const float mean = tree(lanes) / static_cast<float>(n);
    const float scale = 1.0F / root_of(mean + epsilon);
    for (std::int64_t i = 0; i < n; ++i)
        y[i] = x[i] * scale;
}

void norm(const float* x, float* y, std::int64_t n, float epsilon)
{
    float lanes[16] = {};
    for (std::int64_t i = 0; i < n; ++i)
        lanes[i % 16] = lanes[i % 16] + x[i];
    const float mean = tree(lanes) / static_cast<float>(n);
    float squares[16] = {};
    for (std::int64_t i = 0; i < n; ++i) {
        const float d = x[i] - mean;
        squares[i % 16] = squares[i % 16] + d * d;
    }
    const float variance = tree(squares) / static_cast<float>(n);
    const float scale = 1.0F / root_of(variance + epsilon);
    for (std::int64_t i = 0; i < n; ++i)
        y[i] = (x[i] - mean) * scale;
}

void l2_norm(const float* x, float* y, std::int64_t n, float least)
{
    float lanes[16] = {};
    for (std::int64_t i = 0; i < n; ++i)
        lanes[i % 16] = lanes[i % 16] + x[i] * x[i];
    const float length = root_of(tree(lanes));
    const float scale = 1.0F / (length > least ? length : least);
    for (std::int64_t i = 0; i < n; ++i)
        y[i] = x[i] * scale;
}

/// @return false: a result may not stand
bool row(const Node& node, std::int64_t r)
{
    const auto [i1, i2, i3] = row_index(node.result, r);
    const auto n = node.result.extent[0];
    const auto* a = reinterpret_cast<const float*>(row_of(node.source[0], i1, i2, i3));
    auto* y = reinterpret_cast<float*>(row_of(node.result, i1, i2, i3));
    switch (node.op) {
    case Op::rms_norm: rms_norm(a, y, n, float_of(node.parameters[0])); break;
    case Op::norm: norm(a, y, n, float_of(node.parameters[0])); break;
    case Op::l2_norm: l2_norm(a, y, n, float_of(node.parameters[0])); break;
    case Op::clamp:
        for (std::int64_t i = 0; i < n; ++i)
            y[i] = clamp_of(a[i], float_of(node.parameters[0]), float_of(node.parameters[1]));
        break;
    case Op::swiglu_oai: {
        const auto* b = reinterpret_cast<const float*>(row_of(node.source[1], i1, i2, i3));
        for (std::int64_t i = 0; i < n; ++i)
            y[i] = swiglu_oai_of(a[i], b[i], float_of(node.parameters[0]), float_of(node.parameters[1]));
        break;
    }
    case Op::scale:
        for (std::int64_t i = 0; i < n; ++i)
            y[i] = a[i] * float_of(node.parameters[0]) + float_of(node.parameters[1]);
        break;
    case Op::silu:
    case Op::gelu:
    case Op::relu:
    case Op::tanh:
    case Op::sigmoid:
    case Op::neg:
    case Op::exp:
    case Op::sqr:
    case Op::sqrt:
    case Op::gelu_quick:
        for (std::int64_t i = 0; i < n; ++i)
            y[i] = unary_of(node.op, a[i]);
        break;
    default: {
        const auto& second = node.source[1];
        const auto* b =
            reinterpret_cast<const float*>(row_of(second, i1 % second.extent[1], i2 % second.extent[2], i3 % second.extent[3]));
        for (std::int64_t i = 0; i < n; ++i)
            y[i] = binary_of(node.op, a[i], b[second.extent[0] == 1 ? 0 : i]);
    }
    }
    bool fine = true;
    for (std::int64_t i = 0; i < n; ++i)
        fine &= may_stand(node.op, y[i]);
    return fine;
}

}  // namespace

Outcome by_rows(const Node& node, Share share)
{
    switch (node.op) {
    case Op::get_rows: return get_rows(node, share);
    case Op::set_rows: return set_rows(node, share);
    case Op::copy: return copy(node, share);
    case Op::concat: return concat(node, share);
    case Op::add_id: return add_id(node, share);
    case Op::argsort: return argsort(node, share);
    case Op::sum_rows: return sum_rows(node, share);
    case Op::soft_max: return soft_max(node, share);
    default: break;
    }
    const auto part = part_of(rows_of(node.result), share);
    for (auto r = part.begin; r < part.end; ++r)
        if (!row(node, r))
            return Outcome::not_finite;
    return Outcome::done;
}

Outcome angles(const Node& node, Share share, std::byte* at)
{
    auto* table = reinterpret_cast<float*>(at);
    const auto pairs = static_cast<std::int64_t>(node.parameters[0]) / 2;
    const double log_base = log_double(static_cast<double>(float_of(node.parameters[2])));
    const auto part = part_of(pairs, share);
    for (auto i = part.begin; i < part.end; ++i) {
        const double frequency = frequency_of(node, i, log_base);
        for (std::int64_t t = 0; t < node.result.extent[2]; ++t)
            if (!put_angle(node, t, frequency, table + (t * pairs + i) * 2))
                return Outcome::not_finite;
    }
    return Outcome::done;
}

Outcome rope(const Node& node, Share share, const std::byte* angles)
{
    const auto* table = reinterpret_cast<const float*>(angles);
    const auto rotated = static_cast<std::int64_t>(node.parameters[0]);
    const auto pairs = rotated / 2;
    const auto part = part_of(rows_of(node.result), share);
    bool finite = true;
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(node.result, r);
        const auto* x = reinterpret_cast<const float*>(row_of(node.source[0], i1, i2, i3));
        auto* y = reinterpret_cast<float*>(row_of(node.result, i1, i2, i3));
        for (std::int64_t i = 0; i < pairs; ++i)
            finite &= rotate(node, x, y, i, table + (i2 * pairs + i) * 2);
        for (auto i = rotated; i < node.result.extent[0]; ++i) {
            y[i] = x[i];
            finite &= is_finite(y[i]);
        }
    }
    return finite ? Outcome::done : Outcome::not_finite;
}

}  // namespace altiplano::kernels::portable
