#include "translate.hpp"

#include <tensor/check.hpp>

#include <cstring>
#include <initializer_list>

namespace altiplano::guest {
namespace {

using kernels::Op;

float parameter(const ggml_tensor& node, int index)
{
    float value;
    std::memcpy(&value, node.op_params + index, sizeof value);
    return value;
}
std::uint32_t bits(float value)
{
    return __builtin_bit_cast(std::uint32_t, value);
}

tensor::TensorRecord record_of(const ggml_tensor& t)
{
    tensor::TensorRecord record;
    record.address = reinterpret_cast<std::uint64_t>(t.data);
    for (int d = 0; d < 4; d++) {
        record.extent[d] = static_cast<std::uint64_t>(t.ne[d]);
        record.stride[d] = t.nb[d];
    }
    record.type = static_cast<std::uint32_t>(t.type);
    return record;
}

bool unary(const ggml_tensor& node, Op& op)
{
    switch (ggml_get_unary_op(&node)) {
    case GGML_UNARY_OP_SILU: op = Op::silu; return true;
    case GGML_UNARY_OP_GELU: op = Op::gelu; return true;
    case GGML_UNARY_OP_RELU: op = Op::relu; return true;
    case GGML_UNARY_OP_TANH: op = Op::tanh; return true;
    case GGML_UNARY_OP_SIGMOID: op = Op::sigmoid; return true;
    default: return false;
    }
}

bool gate(const ggml_tensor& node, Op& op)
{
    switch (ggml_get_glu_op(&node)) {
    case GGML_GLU_OP_SWIGLU: op = Op::swiglu; return true;
    case GGML_GLU_OP_GEGLU: op = Op::geglu; return true;
    case GGML_GLU_OP_REGLU: op = Op::reglu; return true;
    default: return false;
    }
}

struct Builder {
    const ggml_tensor& node;
    tensor::NodeRecord& record;

    bool is(Op op, std::initializer_list<const ggml_tensor*> sources)
    {
        record.op = static_cast<std::uint32_t>(op);
        record.result = record_of(node);
        for (const auto* source : sources) {
            if (!source)
                return false;
            record.source[record.sources++] = record_of(*source);
        }
        return true;
    }
    void parameters(std::initializer_list<std::uint32_t> values)
    {
        unsigned i = 0;
        for (const auto value : values)
            record.parameters[i++] = value;
    }
};

}  // namespace

bool is_view(const ggml_tensor& node)
{
    switch (node.op) {
    case GGML_OP_NONE:
    case GGML_OP_VIEW:
    case GGML_OP_RESHAPE:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE: return true;
    default: return false;
    }
}

bool translate(const ggml_tensor& node, tensor::NodeRecord& record)
{
    record = {};
    Builder build{node, record};
    auto* const* src = node.src;
    Op op{};
    switch (node.op) {
    case GGML_OP_MUL_MAT: return build.is(Op::mul_mat, {src[0], src[1]});
    case GGML_OP_GET_ROWS: return build.is(Op::get_rows, {src[0], src[1]});
    case GGML_OP_SET_ROWS: return build.is(Op::set_rows, {src[0], src[1]});
    case GGML_OP_ADD: return build.is(Op::add, {src[0], src[1]});
    case GGML_OP_SUB: return build.is(Op::sub, {src[0], src[1]});
    case GGML_OP_MUL: return build.is(Op::mul, {src[0], src[1]});
    case GGML_OP_DIV: return build.is(Op::div, {src[0], src[1]});
    case GGML_OP_DUP:
    case GGML_OP_CPY:
    case GGML_OP_CONT: return build.is(Op::copy, {src[0]});
    case GGML_OP_RMS_NORM:
    case GGML_OP_NORM:
        build.parameters({bits(parameter(node, 0))});
        return build.is(node.op == GGML_OP_NORM ? Op::norm : Op::rms_norm, {src[0]});
    case GGML_OP_SCALE:
        build.parameters({bits(parameter(node, 0)), bits(parameter(node, 1))});
        return build.is(Op::scale, {src[0]});
    case GGML_OP_UNARY: return unary(node, op) && build.is(op, {src[0]});
    case GGML_OP_GLU: {
        if (!gate(node, op))
            return false;
        if (src[1])
            return build.is(op, {src[0], src[1]});
        // Both halves in one row: two views of it.
        if (!build.is(op, {src[0], src[0]}))
            return false;
        const bool swapped = node.op_params[1] != 0;
        for (int i = 0; i < 2; i++) {
            auto& half = record.source[i];
            half.extent[0] /= 2;
            if ((i == 1) != swapped)
                half.address += half.extent[0] * half.stride[0];
        }
        return true;
    }
    case GGML_OP_ROPE: {
        const int mode = node.op_params[2];
        // Interpolated and sectioned positions are ggml's.
        if (parameter(node, 7) != 0.0F || (mode != GGML_ROPE_TYPE_NORMAL && mode != GGML_ROPE_TYPE_NEOX))
            return false;
        build.parameters({static_cast<std::uint32_t>(node.op_params[1]), mode == GGML_ROPE_TYPE_NEOX ? 1U : 0U,
            bits(parameter(node, 5)), bits(parameter(node, 6)), bits(parameter(node, 8))});
        return src[2] ? build.is(Op::rope, {src[0], src[1], src[2]}) : build.is(Op::rope, {src[0], src[1]});
    }
    case GGML_OP_FLASH_ATTN_EXT: {
        if (parameter(node, 1) != 0.0F || src[4] || !src[3])
            return false;  // no biases by distance, no sinks
        const float cap = parameter(node, 2);
        const float scale = cap != 0.0F ? parameter(node, 0) / cap : parameter(node, 0);
        build.parameters({bits(scale), bits(cap)});
        return build.is(Op::flash_attention, {src[0], src[1], src[2], src[3]});
    }
    default: return false;
    }
}

bool is_supported(const ggml_tensor& node)
{
    if (is_view(node))
        return true;
    tensor::NodeRecord record;
    if (!translate(node, record))
        return false;
    // ggml asks before tensors have addresses: each gets a region of its own. Views of one tensor become apart, which they are.
    std::uint64_t address = std::uint64_t{1} << 40;
    record.result.address = address;
    for (unsigned i = 0; i < record.sources; i++)
        record.source[i].address = address += std::uint64_t{1} << 40;
    tensor::Checker checker(nullptr, std::uint64_t{1} << 44, {}, {});
    tensor::Step step;
    return checker.next(record, step) == tensor::Problem::none;
}

}  // namespace altiplano::guest
