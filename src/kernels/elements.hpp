#pragma once

#include "kernels/arithmetic.hpp"

/// Operations of one element, and of one of each of two tensors (docs/arithmetic.md §5).
namespace altiplano::kernels {

/// Rounded once.
static inline float root_of(float x)
{
    return __builtin_sqrtf(x);
}

static inline float unary_of(Op op, float x)
{
    switch (op) {
    case Op::silu: return silu_of(x);
    case Op::gelu: return gelu_of(x);
    case Op::relu: return relu_of(x);
    case Op::tanh: return tanh_of(x);
    case Op::neg: return x * -1.0F;
    case Op::exp: return exp_of(x);
    case Op::sqr: return x * x;
    case Op::sqrt: return root_of(x);
    case Op::gelu_quick: return gelu_quick_of(x);
    default: return sigmoid_of(x);
    }
}

static inline float binary_of(Op op, float a, float b)
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

}  // namespace altiplano::kernels
