#include "kernels/experts.hpp"
#include "kernels/portable.hpp"

// What works row by row, and rotary positions (docs/arithmetic.md §5).
namespace altiplano::kernels::portable {
namespace {

float root(float x)
{
    return __builtin_sqrtf(x);
}

void rms_norm(const float* x, float* y, std::int64_t n, float epsilon)
{
    float lanes[16] = {};
    for (std::int64_t i = 0; i < n; ++i)
        lanes[i % 16] = lanes[i % 16] + x[i] * x[i];
    const float mean = tree(lanes) / static_cast<float>(n);
    const float scale = 1.0F / root(mean + epsilon);
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
    const float scale = 1.0F / root(variance + epsilon);
    for (std::int64_t i = 0; i < n; ++i)
        y[i] = (x[i] - mean) * scale;
}

void l2_norm(const float* x, float* y, std::int64_t n, float least)
{
    float lanes[16] = {};
    for (std::int64_t i = 0; i < n; ++i)
        lanes[i % 16] = lanes[i % 16] + x[i] * x[i];
    const float length = root(tree(lanes));
    const float scale = 1.0F / (length > least ? length : least);
    for (std::int64_t i = 0; i < n; ++i)
        y[i] = x[i] * scale;
}

float unary(Op op, float x)
{
    switch (op) {
    case Op::silu: return silu_of(x);
    case Op::gelu: return gelu_of(x);
    case Op::relu: return relu_of(x);
    case Op::tanh: return tanh_of(x);
    case Op::neg: return x * -1.0F;
    case Op::exp: return exp_of(x);
    case Op::sqr: return x * x;
    case Op::sqrt: return root(x);
    case Op::gelu_quick: return gelu_quick_of(x);
    default: return sigmoid_of(x);
    }
}

float binary(Op op, float a, float b)
{
    switch (op) {
    case Op::add: return a + b;
    case Op::sub: return a - b;
    case Op::mul: return a * b;
    case Op::div: return a / b;
    case Op::swiglu: return silu_of(a) * b;
    case Op::geglu: return gelu_of(a) * b;
    case Op::geglu_quick: return gelu_quick_of(a) * b;
    default: return relu_of(a) * b;
    }
}

/// @return false: a result is not finite
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
            y[i] = unary(node.op, a[i]);
        break;
    default: {
        const auto& second = node.source[1];
        const auto* b =
            reinterpret_cast<const float*>(row_of(second, i1 % second.extent[1], i2 % second.extent[2], i3 % second.extent[3]));
        for (std::int64_t i = 0; i < n; ++i)
            y[i] = binary(node.op, a[i], b[second.extent[0] == 1 ? 0 : i]);
    }
    }
    bool finite = true;
    for (std::int64_t i = 0; i < n; ++i)
        finite &= is_finite(y[i]);
    return finite;
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

/// 1 up to `low`, 0 from `high` on.
static double ramp(double i, float low, float high)
{
    const double between = static_cast<double>(high) - static_cast<double>(low);
    const double y = (i - static_cast<double>(low)) / (between > 0.001 ? between : 0.001);
    return 1.0 - (y > 0.0 ? (y < 1.0 ? y : 1.0) : 0.0);
}

/// Parameters: how many elements rotate, 1 for pairs half a rotation apart, base, frequency scale, factor of the result.
/// Then, for positions that are interpolated by frequency (YaRN): how much, and the pairs between which it sets in.
/// Sources: values, positions, optional divisors of the frequencies.
Outcome angles(const Node& node, Share share, std::byte* at)
{
    auto* table = reinterpret_cast<float*>(at);
    const auto pairs = static_cast<std::int64_t>(node.parameters[0]) / 2;
    const double base = log_double(static_cast<double>(float_of(node.parameters[2])));
    const auto frequency_scale = static_cast<double>(float_of(node.parameters[3]));
    const float factor = float_of(node.parameters[4]);
    const auto extrapolated = static_cast<double>(float_of(node.parameters[5]));
    const auto* divisors = node.sources > 2 ? node.source[2].data : nullptr;
    const auto positions = node.result.extent[2];
    const auto part = part_of(pairs, share);
    for (auto i = part.begin; i < part.end; ++i) {
        double frequency = exp_double(-(static_cast<double>(2 * i) / static_cast<double>(2 * pairs)) * base);
        if (divisors != nullptr)
            frequency = frequency / static_cast<double>(load_as<float>(divisors + 4 * i));
        if (extrapolated == 0.0) {
            frequency = frequency * frequency_scale;
        } else {
            const double mix =
                ramp(static_cast<double>(i), float_of(node.parameters[6]), float_of(node.parameters[7])) * extrapolated;
            frequency = frequency * frequency_scale * (1.0 - mix) + frequency * mix;
        }
        for (std::int64_t t = 0; t < positions; ++t) {
            const double angle = static_cast<double>(index_at(node.source[1], t)) * frequency;
            if (!(angle < 0x1p40 && angle > -0x1p40))
                return Outcome::not_finite;
            const auto [sine, cosine] = sine_cosine(angle);
            table[(t * pairs + i) * 2] = static_cast<float>(cosine) * factor;
            table[(t * pairs + i) * 2 + 1] = static_cast<float>(sine) * factor;
        }
    }
    return Outcome::done;
}

Outcome rope(const Node& node, Share share, const std::byte* angles)
{
    const auto* table = reinterpret_cast<const float*>(angles);
    const auto rotated = static_cast<std::int64_t>(node.parameters[0]);
    const auto pairs = rotated / 2;
    const bool halves = node.parameters[1] != 0;
    const auto part = part_of(rows_of(node.result), share);
    bool finite = true;
    for (auto r = part.begin; r < part.end; ++r) {
        const auto [i1, i2, i3] = row_index(node.result, r);
        const auto* x = reinterpret_cast<const float*>(row_of(node.source[0], i1, i2, i3));
        auto* y = reinterpret_cast<float*>(row_of(node.result, i1, i2, i3));
        for (std::int64_t i = 0; i < pairs; ++i) {
            const auto a = halves ? i : 2 * i;
            const auto b = halves ? i + pairs : 2 * i + 1;
            const float cosine = table[(i2 * pairs + i) * 2];
            const float sine = table[(i2 * pairs + i) * 2 + 1];
            const float x0 = x[a];
            const float x1 = x[b];
            y[a] = x0 * cosine - x1 * sine;
            y[b] = x0 * sine + x1 * cosine;
            finite &= is_finite(y[a]) && is_finite(y[b]);
        }
        for (auto i = rotated; i < node.result.extent[0]; ++i) {
            y[i] = x[i];
            finite &= is_finite(y[i]);
        }
    }
    return finite ? Outcome::done : Outcome::not_finite;
}

}  // namespace altiplano::kernels::portable
