#include "tensor/sentences.hpp"

#include "tensor/errors.hpp"

#include <fmt/format.h>

namespace altiplano::tensor {

using kernels::Op;

std::string operation_name(std::uint32_t op)
{
    switch (static_cast<Op>(op)) {
    case Op::mul_mat: return "mul_mat";
    case Op::get_rows: return "get_rows";
    case Op::set_rows: return "set_rows";
    case Op::rms_norm: return "rms_norm";
    case Op::norm: return "norm";
    case Op::add: return "add";
    case Op::mul: return "mul";
    case Op::scale: return "scale";
    case Op::silu: return "silu";
    case Op::gelu: return "gelu";
    case Op::relu: return "relu";
    case Op::swiglu: return "swiglu";
    case Op::geglu: return "geglu";
    case Op::reglu: return "reglu";
    case Op::rope: return "rope";
    case Op::flash_attention: return "flash_attention";
    case Op::copy: return "copy";
    case Op::sub: return "sub";
    case Op::div: return "div";
    case Op::tanh: return "tanh";
    case Op::sigmoid: return "sigmoid";
    case Op::mul_mat_id: return "mul_mat_id";
    case Op::add_id: return "add_id";
    case Op::soft_max: return "soft_max";
    case Op::argsort: return "argsort";
    case Op::sum_rows: return "sum_rows";
    case Op::clamp: return "clamp";
    case Op::neg: return "neg";
    case Op::exp: return "exp";
    case Op::sqr: return "sqr";
    case Op::sqrt: return "sqrt";
    case Op::gelu_quick: return "gelu_quick";
    case Op::geglu_quick: return "geglu_quick";
    case Op::swiglu_oai: return "swiglu_oai";
    case Op::l2_norm: return "l2_norm";
    case Op::concat: return "concat";
    }
    return fmt::format("number {}", op);
}

namespace {

std::string_view reason(Problem problem)
{
    switch (problem) {
    case Problem::none: break;
    case Problem::bad_graph: return "the graph has another length, beginning or number of nodes than it says";
    case Problem::unknown_operation: return "the operation is outside the specification";
    case Problem::wrong_sources: return "it takes another number of tensors";
    case Problem::unsupported_format: return "these formats are outside the specification";
    case Problem::bad_shape: return "the shapes do not fit";
    case Problem::bad_stride: return "rows overlap, are scattered or are not aligned";
    case Problem::outside_memory: return "a tensor reaches outside the memory";
    case Problem::bad_parameter: return "a parameter is outside its range";
    case Problem::overlap: return "the result lies over something else";
    case Problem::too_large: return "it is larger than one operation may be";
    case Problem::small_scratch: return "the scratch is smaller than it needs";
    }
    return "";
}

}  // namespace

vm::GuestFault refused(Problem problem, std::uint32_t node, const NodeRecord& record)
{
    if (problem == Problem::bad_graph || problem == Problem::small_scratch)
        return {errors::trap_bad_graph, std::string(reason(problem))};
    const bool unsupported = problem == Problem::unknown_operation || problem == Problem::unsupported_format;
    std::string formats;
    for (std::uint32_t i = 0; i < record.sources && i < kernels::sources_max && problem == Problem::unsupported_format; ++i)
        formats += fmt::format("{}{}", i == 0 ? ", formats " : " ", record.source[i].type);
    return {unsupported ? errors::trap_unsupported : errors::trap_bad_graph,
        fmt::format("node {} of the graph, operation {}{}: {}", node, operation_name(record.op), formats, reason(problem))};
}

vm::GuestFault failed(kernels::Outcome outcome, std::uint32_t node, const NodeRecord& record)
{
    const bool index = outcome == kernels::Outcome::bad_index;
    return {index ? errors::trap_bad_index : errors::trap_not_finite,
        fmt::format("node {} of the graph, operation {}: {}", node, operation_name(record.op),
            index ? "an index lies outside the tensor" : "a number is infinite or not a number")};
}

}  // namespace altiplano::tensor
