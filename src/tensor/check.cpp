#include "tensor/check.hpp"

namespace altiplano::tensor {
namespace {

using kernels::Node;
using kernels::Op;
using kernels::Tensor;
using kernels::Type;

constexpr std::uint64_t extent_max = std::uint64_t{1} << 31;

/// Saturating, so that a hostile product is merely unaffordable: as soon as the factors have more than 64 bits together, since
/// wasm has no product of 128 bits.
std::uint64_t times(std::uint64_t a, std::uint64_t b) noexcept
{
    if (a == 0 || b == 0)
        return 0;
    return __builtin_clzll(a) + __builtin_clzll(b) >= 64 ? a * b : ~std::uint64_t{0};
}
std::uint64_t plus(std::uint64_t a, std::uint64_t b) noexcept
{
    std::uint64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? ~std::uint64_t{0} : sum;
}

bool same_extents(const Tensor& a, const Tensor& b) noexcept
{
    bool same = true;
    for (int d = 0; d < 4; ++d)
        same &= a.extent[d] == b.extent[d];
    return same;
}
bool has_extents(const Tensor& t, std::int64_t e0, std::int64_t e1, std::int64_t e2, std::int64_t e3) noexcept
{
    return t.extent[0] == e0 && t.extent[1] == e1 && t.extent[2] == e2 && t.extent[3] == e3;
}
bool same_place(const TensorRecord& a, const TensorRecord& b) noexcept
{
    bool same = a.address == b.address && a.type == b.type;
    for (int d = 0; d < 4; ++d)
        same &= a.extent[d] == b.extent[d] && a.stride[d] == b.stride[d];
    return same;
}

/// Rows and what is made of them lie behind one another, none over another.
bool is_laid_out(const Tensor& t) noexcept
{
    const auto format = kernels::format_of(t.type);
    auto span = static_cast<std::uint64_t>(t.extent[0] / format.block_elements * format.block_bytes);
    for (int d = 1; d < 4; ++d) {
        const auto stride = static_cast<std::uint64_t>(t.stride[d]);
        if (t.extent[d] > 1 && stride < span)
            return false;
        if (t.extent[d] > 1)
            span += static_cast<std::uint64_t>(t.extent[d] - 1) * stride;  // inside memory: cannot wrap
    }
    return true;
}

bool is_finite(std::uint32_t bits) noexcept
{
    return (bits & 0x7f800000U) != 0x7f800000U;
}

std::uint64_t elements(const Tensor& t) noexcept
{
    std::uint64_t n = 1;
    for (const auto e : t.extent)
        n = times(n, static_cast<std::uint64_t>(e));
    return n;
}

enum class Kind {
    one,
    two,
    two_alike,
    product,
    product_by_id,
    get,
    set,
    rope,
    attention,
    copy,
    add_by_id,
    soft_max,
    sort,
    sum,
    concat,
    none
};

Kind kind_of(Op op) noexcept
{
    switch (op) {
    case Op::mul_mat: return Kind::product;
    case Op::mul_mat_id: return Kind::product_by_id;
    case Op::add_id: return Kind::add_by_id;
    case Op::soft_max: return Kind::soft_max;
    case Op::argsort: return Kind::sort;
    case Op::sum_rows: return Kind::sum;
    case Op::concat: return Kind::concat;
    case Op::get_rows: return Kind::get;
    case Op::set_rows: return Kind::set;
    case Op::rope: return Kind::rope;
    case Op::flash_attention: return Kind::attention;
    case Op::copy: return Kind::copy;
    case Op::rms_norm:
    case Op::norm:
    case Op::scale:
    case Op::silu:
    case Op::gelu:
    case Op::relu:
    case Op::tanh:
    case Op::sigmoid:
    case Op::clamp:
    case Op::neg:
    case Op::exp:
    case Op::sqr:
    case Op::sqrt:
    case Op::gelu_quick:
    case Op::l2_norm: return Kind::one;
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div: return Kind::two;
    case Op::swiglu:
    case Op::geglu:
    case Op::reglu:
    case Op::geglu_quick:
    case Op::swiglu_oai: return Kind::two_alike;
    }
    return Kind::none;
}

bool right_sources(Kind kind, unsigned n) noexcept
{
    switch (kind) {
    case Kind::one:
    case Kind::sort:
    case Kind::sum:
    case Kind::copy: return n == 1;
    case Kind::soft_max: return n == 1 || n == 2;
    case Kind::product_by_id:
    case Kind::add_by_id: return n == 3;
    case Kind::rope: return n == 2 || n == 3;
    case Kind::attention: return n == 4 || n == 5;
    default: return n == 2;
    }
}

bool f32(const Tensor& t) noexcept
{
    return t.type == Type::f32;
}
bool is_weight(Type type) noexcept
{
    return kernels::is_float(type) || kernels::is_quantised(type);
}

bool right_formats(Kind kind, const Node& n) noexcept
{
    switch (kind) {
    case Kind::one: return f32(n.result) && f32(n.source[0]);
    case Kind::two:
    case Kind::two_alike: return f32(n.result) && f32(n.source[0]) && f32(n.source[1]);
    case Kind::product: return f32(n.result) && is_weight(n.source[0].type) && f32(n.source[1]);
    case Kind::product_by_id:
        return f32(n.result) && is_weight(n.source[0].type) && f32(n.source[1]) && n.source[2].type == Type::i32;
    case Kind::add_by_id: return f32(n.result) && f32(n.source[0]) && f32(n.source[1]) && n.source[2].type == Type::i32;
    case Kind::soft_max:
        return f32(n.result) && f32(n.source[0]) && (n.sources < 2 || f32(n.source[1]) || n.source[1].type == Type::f16);
    case Kind::sort: return n.result.type == Type::i32 && f32(n.source[0]);
    case Kind::sum: return f32(n.result) && f32(n.source[0]);
    case Kind::concat: return f32(n.result) && f32(n.source[0]) && f32(n.source[1]);
    case Kind::get: return f32(n.result) && is_weight(n.source[0].type) && n.source[1].type == Type::i32;
    case Kind::set:
        return (f32(n.result) || n.result.type == Type::f16) && f32(n.source[0])
            && (n.source[1].type == Type::i32 || n.source[1].type == Type::i64);
    case Kind::rope:
        return f32(n.result) && f32(n.source[0]) && n.source[1].type == Type::i32 && (n.sources < 3 || f32(n.source[2]));
    case Kind::attention:
        return f32(n.result) && f32(n.source[0]) && n.source[1].type == Type::f16 && n.source[2].type == Type::f16
            && n.source[3].type == Type::f16 && (n.sources < 5 || f32(n.source[4]));
    case Kind::copy: return (f32(n.result) || n.result.type == Type::f16) && kernels::is_float(n.source[0].type);
    case Kind::none: break;
    }
    return false;
}

bool right_shapes(Kind kind, const Node& n) noexcept
{
    const auto& r = n.result;
    const auto& a = n.source[0];
    const auto& b = n.source[1];
    switch (kind) {
    case Kind::one: return same_extents(a, r);
    case Kind::two_alike: return same_extents(a, r) && same_extents(b, r);
    case Kind::two: {
        bool fits = same_extents(a, r) && (b.extent[0] == r.extent[0] || b.extent[0] == 1);
        for (int d = 1; d < 4; ++d)
            fits &= r.extent[d] % b.extent[d] == 0;
        return fits;
    }
    case Kind::product: {
        const bool fits = a.extent[0] == b.extent[0] && has_extents(r, a.extent[1], b.extent[1], b.extent[2], b.extent[3]);
        if (kernels::is_quantised(a.type))
            return fits && a.extent[2] == 1 && a.extent[3] == 1;
        return fits && b.extent[2] % a.extent[2] == 0 && b.extent[3] % a.extent[3] == 0;
    }
    case Kind::product_by_id: {
        const auto& chosen = n.source[2];
        return a.extent[0] == b.extent[0] && a.extent[3] == 1 && has_extents(b, b.extent[0], b.extent[1], chosen.extent[1], 1)
            && has_extents(chosen, chosen.extent[0], chosen.extent[1], 1, 1)
            && has_extents(r, a.extent[1], chosen.extent[0], chosen.extent[1], 1) && chosen.extent[0] % b.extent[1] == 0;
    }
    case Kind::add_by_id: {
        const auto& chosen = n.source[2];
        return same_extents(a, r) && has_extents(b, r.extent[0], b.extent[1], 1, 1)
            && has_extents(chosen, r.extent[1], r.extent[2], 1, 1) && r.extent[3] == 1;
    }
    case Kind::soft_max:
        return same_extents(a, r)
            && (n.sources < 2
                || (b.extent[0] == r.extent[0] && b.extent[1] >= r.extent[1] && r.extent[2] % b.extent[2] == 0
                    && r.extent[3] % b.extent[3] == 0));
    case Kind::sort: return same_extents(a, r);
    case Kind::sum: return has_extents(r, 1, a.extent[1], a.extent[2], a.extent[3]);
    case Kind::concat: {
        bool fits = n.parameters[0] <= 3;
        for (std::uint32_t d = 0; d < 4; ++d)
            fits &= n.parameters[0] == d ? r.extent[d] == a.extent[d] + b.extent[d]
                                         : r.extent[d] == a.extent[d] && r.extent[d] == b.extent[d];
        return fits;
    }
    case Kind::get:
        return has_extents(r, a.extent[0], b.extent[0], b.extent[1], b.extent[2]) && b.extent[3] == 1
            && a.extent[2] == b.extent[1] && a.extent[3] == b.extent[2];
    case Kind::set:
        return has_extents(a, r.extent[0], b.extent[0], 1, 1) && has_extents(b, b.extent[0], 1, 1, 1) && r.extent[2] == 1
            && r.extent[3] == 1;
    case Kind::rope: {
        const auto rotated = static_cast<std::int64_t>(n.parameters[0]);
        return same_extents(a, r) && has_extents(b, r.extent[2], 1, 1, 1) && rotated >= 2 && rotated % 2 == 0
            && rotated <= r.extent[0] && (n.sources < 3 || n.source[2].extent[0] >= rotated / 2);
    }
    case Kind::attention: {
        const auto& v = n.source[2];
        const auto& mask = n.source[3];
        return a.extent[0] % 16 == 0 && a.extent[0] <= 256 && a.extent[3] == 1 && b.extent[3] == 1 && same_extents(b, v)
            && b.extent[0] == a.extent[0] && a.extent[2] % b.extent[2] == 0
            && has_extents(r, a.extent[0], a.extent[2], a.extent[1], 1) && mask.extent[0] == b.extent[1]
            && mask.extent[1] >= a.extent[1] && mask.extent[2] == 1 && mask.extent[3] == 1
            && (n.sources < 5 || has_extents(n.source[4], a.extent[2], 1, 1, 1));
    }
    case Kind::copy: return elements(a) == elements(r);
    case Kind::none: break;
    }
    return false;
}

bool right_parameters(const Node& n) noexcept
{
    const auto* p = n.parameters;
    constexpr std::uint32_t greatest = 0x7f7fffffU;  // bits up to those: finite, and no sign
    constexpr std::uint32_t bias_max = 0x44000000U;  // those of 512
    switch (n.op) {
    case Op::rms_norm:
    case Op::norm:
    case Op::l2_norm: return p[0] <= greatest;
    case Op::scale: return is_finite(p[0]) && is_finite(p[1]);
    case Op::flash_attention: return is_finite(p[0]) && is_finite(p[1]) && p[2] <= bias_max;
    case Op::soft_max: return is_finite(p[0]) && p[1] <= bias_max;
    case Op::clamp: return (p[0] & 0x7fffffffU) <= 0x7f800000U && (p[1] & 0x7fffffffU) <= 0x7f800000U;  // numbers or infinite
    case Op::swiglu_oai: return is_finite(p[0]) && p[1] <= greatest;
    case Op::argsort: return p[0] <= 1;
    // The base: between 2^-100 and 2^100.
    case Op::rope:
        return p[1] <= 1 && p[2] >= 0x0d800000U && p[2] <= 0x71800000U && is_finite(p[3]) && is_finite(p[4]) && is_finite(p[5])
            && is_finite(p[6]) && is_finite(p[7]);
    default: return true;
    }
}

bool is_too_large(Kind kind, const Node& n) noexcept
{
    const auto& b = n.source[1];
    if (kind == Kind::sort)
        return n.result.extent[0] > width_max;
    if (kind == Kind::product || kind == Kind::product_by_id)
        return n.source[0].extent[0] > width_max || elements(b) > static_cast<std::uint64_t>(activations_max);
    if (kind == Kind::rope)
        return times(n.parameters[0], static_cast<std::uint64_t>(n.result.extent[2])) > static_cast<std::uint64_t>(angles_max);
    return false;
}

/// Operations that may write over a source which is the very same tensor: they read an element, or a row, before they write it.
bool may_write_over(Kind kind, unsigned source) noexcept
{
    switch (kind) {
    case Kind::one:
    case Kind::rope:
    case Kind::soft_max:
    case Kind::add_by_id:
    case Kind::copy: return source == 0;
    case Kind::two:
    case Kind::two_alike: return source <= 1;
    default: return false;
    }
}

}  // namespace

std::uint64_t gas_of(const Node& n) noexcept
{
    const auto result = elements(n.result);
    std::uint64_t work = 0;
    switch (kind_of(n.op)) {
    case Kind::product:
    case Kind::product_by_id: {
        const auto k = static_cast<std::uint64_t>(n.source[0].extent[0]);
        const auto products = times(result, k);
        work = kernels::is_quantised(n.source[0].type) ? plus(products, times(elements(n.source[1]), 8)) : times(products, 4);
        break;
    }
    case Kind::attention: work = times(times(result, static_cast<std::uint64_t>(n.source[1].extent[1])), 6); break;
    case Kind::sort: work = times(result, static_cast<std::uint64_t>(n.result.extent[0])); break;
    case Kind::one:
    case Kind::soft_max:
    case Kind::two_alike: work = times(result, 32); break;
    case Kind::rope:
        work = plus(times(result, 32), times(times(n.parameters[0], static_cast<std::uint64_t>(n.result.extent[2])), 512));
        break;
    default: work = times(plus(result, elements(n.source[0])), 16); break;
    }
    if (n.op == Op::get_rows)
        work = times(result, 32);
    return plus(500, work / 16);
}

Problem Checker::tensor(const TensorRecord& record, bool scattered, Tensor& tensor, Extent& extent) const noexcept
{
    const auto format = kernels::format_of(record.type);
    if (format.block_bytes == 0)
        return Problem::unsupported_format;
    const auto block = static_cast<std::uint64_t>(format.block_elements);
    const auto bytes = static_cast<std::uint64_t>(format.block_bytes);
    for (const auto e : record.extent)
        if (e == 0 || e > extent_max)
            return Problem::bad_shape;
    if (record.extent[0] % block != 0)
        return Problem::bad_shape;
    if (!scattered && record.stride[0] != bytes)
        return Problem::bad_stride;

    // How far the last byte lies from the first.
    auto span = plus(times(record.extent[0] / block - 1, record.stride[0]), bytes);
    for (int d = 1; d < 4; ++d)
        span = plus(span, times(record.extent[d] - 1, record.stride[d]));
    if (record.address > memory_bytes_ || span > memory_bytes_ - record.address)
        return Problem::outside_memory;

    tensor.type = static_cast<Type>(record.type);
    tensor.data = base_ + record.address;
    for (int d = 0; d < 4; ++d) {
        tensor.extent[d] = static_cast<std::int64_t>(record.extent[d]);
        // Where there is no second element, the stride is not used and may be anything.
        tensor.stride[d] = record.extent[d] > 1 ? static_cast<std::int64_t>(record.stride[d]) : 0;
    }
    tensor.stride[0] = static_cast<std::int64_t>(record.stride[0]);
    if (scattered && record.stride[0] > memory_bytes_)
        tensor.stride[0] = 0;
    if (tensor.type == Type::f32) {
        std::uint64_t places = record.address;
        for (const auto stride : tensor.stride)
            places |= static_cast<std::uint64_t>(stride);
        if (places % 4 != 0)
            return Problem::bad_stride;
    }
    extent = {record.address, record.address + span};
    return Problem::none;
}

/// Whether the scratch still holds what this node would prepare; notes what it will hold afterwards.
bool Checker::still_prepared(const NodeRecord& record, const Step& step, const Extent* sources) noexcept
{
    const bool product = kernels::is_product_of_blocks(step.node);
    auto& prepared = product ? activations_ : angles_;
    bool same = prepared.valid && same_place(prepared.record.source[1], record.source[1]);
    if (!product) {
        same &= prepared.record.sources == record.sources && prepared.record.result.extent[2] == record.result.extent[2];
        for (unsigned p = 0; p < 8; ++p)
            same &= p == 1 || prepared.record.parameters[p] == record.parameters[p];  // how pairs lie does not matter to angles
        same &= record.sources < 3 || same_place(prepared.record.source[2], record.source[2]);
    }
    prepared.valid = true;
    prepared.record = record;
    prepared.extent[0] = sources[1];
    prepared.extent[1] = record.sources > 2 ? sources[2] : Extent{};
    return same;
}

Problem Checker::next(const NodeRecord& record, Step& step) noexcept
{
    step = {};
    auto& node = step.node;
    node.op = static_cast<Op>(record.op);
    const auto kind = kind_of(node.op);
    if (kind == Kind::none)
        return Problem::unknown_operation;
    node.sources = record.sources;
    if (!right_sources(kind, node.sources))
        return Problem::wrong_sources;
    for (unsigned i = 0; i < kernels::parameters_max; ++i)
        node.parameters[i] = record.parameters[i];

    Extent sources[kernels::sources_max];
    if (const auto problem = tensor(record.result, false, node.result, step.result); problem != Problem::none)
        return problem;
    for (unsigned i = 0; i < node.sources; ++i) {
        const bool scattered = kind == Kind::copy;
        if (const auto problem = tensor(record.source[i], scattered, node.source[i], sources[i]); problem != Problem::none)
            return problem;
    }
    if (!right_formats(kind, node))
        return Problem::unsupported_format;
    if (!right_shapes(kind, node))
        return Problem::bad_shape;
    if (!is_laid_out(node.result) || ((kind == Kind::product || kind == Kind::product_by_id) && !is_laid_out(node.source[1])))
        return Problem::bad_stride;
    if (!right_parameters(node))
        return Problem::bad_parameter;
    if (is_too_large(kind, node))
        return Problem::too_large;

    if (graph_.overlaps(scratch_) || step.result.overlaps(graph_) || step.result.overlaps(scratch_))
        return Problem::overlap;
    for (unsigned i = 0; i < node.sources; ++i) {
        if (sources[i].overlaps(scratch_))
            return Problem::overlap;
        if (sources[i].overlaps(step.result) && !(may_write_over(kind, i) && same_place(record.source[i], record.result)))
            return Problem::overlap;
    }

    // What an earlier node prepared serves this one too, unless a result between them wrote over what it was made of.
    step.prepare = kernels::has_preparation(node) && !still_prepared(record, step, sources);
    const auto notice = [&](Prepared& prepared) {
        for (const auto& extent : prepared.extent)
            if (extent.overlaps(step.result))
                prepared.valid = false;
    };
    notice(activations_);
    notice(angles_);

    sizes_.include(node);
    gas_ = plus(gas_, gas_of(node));
    return Problem::none;
}

}  // namespace altiplano::tensor
