#include "translate.hpp"

#include <tensor/check.hpp>

#include <cmath>
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
    case GGML_UNARY_OP_NEG: op = Op::neg; return true;
    case GGML_UNARY_OP_EXP: op = Op::exp; return true;
    case GGML_UNARY_OP_GELU_QUICK: op = Op::gelu_quick; return true;
    default: return false;
    }
}

bool gate(const ggml_tensor& node, Op& op)
{
    switch (ggml_get_glu_op(&node)) {
    case GGML_GLU_OP_SWIGLU: op = Op::swiglu; return true;
    case GGML_GLU_OP_GEGLU: op = Op::geglu; return true;
    case GGML_GLU_OP_REGLU: op = Op::reglu; return true;
    case GGML_GLU_OP_GEGLU_QUICK: op = Op::geglu_quick; return true;
    case GGML_GLU_OP_SWIGLU_OAI: op = Op::swiglu_oai; return true;
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
    case GGML_OP_L2_NORM: build.parameters({bits(parameter(node, 0))}); return build.is(Op::l2_norm, {src[0]});
    case GGML_OP_MUL_MAT_ID: return build.is(Op::mul_mat_id, {src[0], src[1], src[2]});
    case GGML_OP_ADD_ID: return build.is(Op::add_id, {src[0], src[1], src[2]});
    case GGML_OP_SOFT_MAX:
        if (src[2])
            return false;  // sinks are flash attention's
        build.parameters({bits(parameter(node, 0)), bits(parameter(node, 1))});
        return src[1] ? build.is(Op::soft_max, {src[0], src[1]}) : build.is(Op::soft_max, {src[0]});
    case GGML_OP_ARGSORT:
        build.parameters({node.op_params[0] == GGML_SORT_ORDER_DESC ? 1U : 0U});
        return build.is(Op::argsort, {src[0]});
    case GGML_OP_SUM_ROWS: return build.is(Op::sum_rows, {src[0]});
    case GGML_OP_CLAMP:
        build.parameters({bits(parameter(node, 0)), bits(parameter(node, 1))});
        return build.is(Op::clamp, {src[0]});
    case GGML_OP_SQR: return build.is(Op::sqr, {src[0]});
    case GGML_OP_SQRT: return build.is(Op::sqrt, {src[0]});
    case GGML_OP_CONCAT:
        build.parameters({static_cast<std::uint32_t>(node.op_params[0])});
        return build.is(Op::concat, {src[0], src[1]});
    case GGML_OP_SCALE:
        build.parameters({bits(parameter(node, 0)), bits(parameter(node, 1))});
        return build.is(Op::scale, {src[0]});
    case GGML_OP_UNARY: return unary(node, op) && build.is(op, {src[0]});
    case GGML_OP_GLU: {
        if (!gate(node, op))
            return false;
        if (op == Op::swiglu_oai)
            build.parameters({bits(parameter(node, 2)), bits(parameter(node, 3))});
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
        // Sectioned positions are ggml's, and rotations that do not begin with the first element.
        if (node.op_params[15] != 0 || (mode != GGML_ROPE_TYPE_NORMAL && mode != GGML_ROPE_TYPE_NEOX))
            return false;
        build.parameters({static_cast<std::uint32_t>(node.op_params[1]), mode == GGML_ROPE_TYPE_NEOX ? 1U : 0U,
            bits(parameter(node, 5)), bits(parameter(node, 6)), bits(parameter(node, 8))});
        if (const float extrapolated = parameter(node, 7); extrapolated != 0.0F) {
            // YaRN: between which pairs it sets in, and its own factor, as ggml has them.
            float pairs[2];
            ggml_rope_yarn_corr_dims(
                node.op_params[1], node.op_params[4], parameter(node, 5), parameter(node, 9), parameter(node, 10), pairs);
            const float factor = parameter(node, 8) * (1.0F + 0.1F * logf(1.0F / parameter(node, 6)));
            record.parameters[4] = bits(factor);
            record.parameters[5] = bits(extrapolated);
            record.parameters[6] = bits(pairs[0]);
            record.parameters[7] = bits(pairs[1]);
        }
        return src[2] ? build.is(Op::rope, {src[0], src[1], src[2]}) : build.is(Op::rope, {src[0], src[1]});
    }
    case GGML_OP_FLASH_ATTN_EXT: {
        if (!src[3])
            return false;
        const float cap = parameter(node, 2);
        const float scale = cap != 0.0F ? parameter(node, 0) / cap : parameter(node, 0);
        build.parameters({bits(scale), bits(cap), bits(parameter(node, 1))});
        return src[4] ? build.is(Op::flash_attention, {src[0], src[1], src[2], src[3], src[4]})
                      : build.is(Op::flash_attention, {src[0], src[1], src[2], src[3]});
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
