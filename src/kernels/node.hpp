#pragma once

#include "kernels/formats.hpp"

/// One operation on tensors, as every implementation of the contract takes it.
namespace altiplano::kernels {

/// Operations of the specification. The numbers go over the wire between guest and host: they never change.
enum class Op : std::uint32_t {
    mul_mat = 1,
    get_rows = 2,
    set_rows = 3,
    rms_norm = 4,
    norm = 5,
    add = 6,
    mul = 7,
    scale = 8,
    silu = 9,
    gelu = 10,
    relu = 11,
    swiglu = 12,
    geglu = 13,
    reglu = 14,
    rope = 15,
    flash_attention = 16,
    copy = 17,
    sub = 18,
    div = 19,
    tanh = 20,
    sigmoid = 21,
    mul_mat_id = 22,
    add_id = 23,
    soft_max = 24,
    argsort = 25,
    sum_rows = 26,
    clamp = 27,
    neg = 28,
    exp = 29,
    sqr = 30,
    sqrt = 31,
    gelu_quick = 32,
    geglu_quick = 33,
    swiglu_oai = 34,
    l2_norm = 35,
    concat = 36,
};

/// Strides in bytes. Element (i0, i1, i2, i3) of a plain format lies at data + Σ i·stride.
struct Tensor {
    std::byte* data = nullptr;
    std::int64_t extent[4] = {};
    std::int64_t stride[4] = {};
    Type type = Type::f32;
};

inline constexpr unsigned sources_max = 5;
inline constexpr unsigned parameters_max = 16;

/// What the parameters of each operation are, and which tensors it takes, says docs/arithmetic.md. An implementation trusts a
/// node: extents, strides, formats and aliases were checked before (`tensor/check.hpp`). What is data, such as indices and
/// values, it checks itself.
struct Node {
    Op op{};
    std::uint32_t parameters[parameters_max] = {};  ///< integers, or the bits of an F32
    Tensor result;
    Tensor source[sources_max];
    unsigned sources = 0;
};

/// One of several that work on a node at the same time. Who does what never changes a bit of the result.
struct Share {
    unsigned index = 0;
    unsigned count = 1;
};

/// What an implementation needs besides the tensors. Contents mean nothing between nodes, except that `activations` and
/// `angles` stay as `prepare` left them until the next `prepare` that uses the same one.
struct Scratch {
    std::byte* activations = nullptr;  ///< activation_bytes of the node's source 1; 64-byte aligned; all shares see the same
    std::byte* angles = nullptr;  ///< angle_bytes; the same
    std::byte* panel = nullptr;  ///< panel_bytes; 64-byte aligned; each share has its own
};

enum class Outcome : std::uint32_t {
    done = 0,
    not_finite = 1,  ///< a result, or an activation to be quantised, is not a number, or infinite where it may not be
    bad_index = 2,  ///< an index or a position lies outside what it is for
};

/// One implementation of the contract: `prepare` by all shares, then a barrier, then `run` by all shares.
struct Implementation {
    const char* name;
    Outcome (*prepare)(const Node&, Share, const Scratch&);
    Outcome (*run)(const Node&, Share, const Scratch&);
};

/// Operations that move elements, add them and stretch them, by which graphs build masks: what is infinite stays so.
constexpr bool may_be_infinite(Op op) noexcept
{
    switch (op) {
    case Op::get_rows:
    case Op::set_rows:
    case Op::copy:
    case Op::concat:
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::scale:
    case Op::neg:
    case Op::clamp: return true;
    default: return false;
    }
}

constexpr bool is_product_of_blocks(const Node& node) noexcept
{
    return (node.op == Op::mul_mat || node.op == Op::mul_mat_id) && is_quantised(node.source[0].type);
}
constexpr bool has_preparation(const Node& node) noexcept
{
    return is_product_of_blocks(node) || node.op == Op::rope;
}

/// Quantised activations: `columns` rows of K codes, then per block scale, scale times sum, and the sums of both halves.
constexpr std::int64_t activation_bytes(std::int64_t k, std::int64_t columns) noexcept
{
    return (k * columns + 63) / 64 * 64 + k / block_elements * columns * 16;
}
/// A cosine and a sine for each pair of each position.
constexpr std::int64_t angle_bytes(std::int64_t rotated, std::int64_t positions) noexcept
{
    return rotated * positions * 4;
}
/// Sixteen rows of weights, unpacked: codes, scale, minimum, two scales of halves, per block.
constexpr std::int64_t panel_bytes(std::int64_t k) noexcept
{
    return k / block_elements * (512 + 4 * 64);
}

inline float float_of(std::uint32_t bits) noexcept
{
    return __builtin_bit_cast(float, bits);
}
inline std::uint32_t bits_of(float x) noexcept
{
    return __builtin_bit_cast(std::uint32_t, x);
}

}  // namespace altiplano::kernels
