#pragma once

#include <cstddef>
#include <cstdint>

/// Number formats of tensors, with the numbers that GGUF gives them (docs/arithmetic.md §2).
namespace altiplano::kernels {

enum class Type : std::uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q2_k = 10,
    q3_k = 11,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    iq4_nl = 20,
    iq4_xs = 23,
    i32 = 26,
    i64 = 27,
    bf16 = 30,
    mxfp4 = 39,
};

/// How a format lies in memory. Zero bytes: no format of the specification.
struct Format {
    std::int64_t block_elements = 0;  ///< 1 for plain numbers
    std::int64_t block_bytes = 0;
};

/// Values, no table: what runs as a guest's reference module has no data of its own.
constexpr Format format_of(std::uint32_t type) noexcept
{
    switch (static_cast<Type>(type)) {
    case Type::f32:
    case Type::i32: return {1, 4};
    case Type::f16:
    case Type::bf16: return {1, 2};
    case Type::i64: return {1, 8};
    case Type::q4_0:
    case Type::iq4_nl: return {32, 18};
    case Type::q4_1: return {32, 20};
    case Type::q5_0: return {32, 22};
    case Type::q5_1: return {32, 24};
    case Type::q8_0: return {32, 34};
    case Type::mxfp4: return {32, 17};
    case Type::q2_k: return {256, 84};
    case Type::q3_k: return {256, 110};
    case Type::q4_k: return {256, 144};
    case Type::q5_k: return {256, 176};
    case Type::q6_k: return {256, 210};
    case Type::iq4_xs: return {256, 136};
    }
    return {};
}
constexpr Format format_of(Type type) noexcept
{
    return format_of(static_cast<std::uint32_t>(type));
}

constexpr bool is_quantised(Type type) noexcept
{
    return format_of(type).block_elements > 1;
}
/// F32, F16 and BF16.
constexpr bool is_float(Type type) noexcept
{
    return type == Type::f32 || type == Type::f16 || type == Type::bf16;
}

/// Elements that share one scale in a product: what a weight row is cut into (docs/arithmetic.md §4).
inline constexpr std::int64_t block_elements = 32;

}  // namespace altiplano::kernels
