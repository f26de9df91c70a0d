#pragma once

#include "kernels/node.hpp"

/// A graph of operations as a guest writes it into its memory: little-endian, no padding, one NodeRecord behind the other after a
/// GraphRecord. Guests, host and reference module share this header, so it uses nothing but kernels' (docs/arithmetic.md §7).
namespace altiplano::tensor {

inline constexpr std::uint32_t graph_magic = 0x31475441;  ///< "ATG1"
inline constexpr std::uint32_t nodes_max = 1U << 16;

struct GraphRecord {
    std::uint32_t magic = graph_magic;
    std::uint32_t nodes = 0;
};

struct TensorRecord {
    std::uint64_t address = 0;
    std::uint64_t extent[4] = {};
    std::uint64_t stride[4] = {};  ///< bytes
    std::uint32_t type = 0;  ///< kernels::Type
    std::uint32_t zero = 0;
};

struct NodeRecord {
    std::uint32_t op = 0;  ///< kernels::Op
    std::uint32_t sources = 0;
    std::uint32_t parameters[kernels::parameters_max] = {};
    TensorRecord result{};
    TensorRecord source[kernels::sources_max]{};  ///< those behind `sources` are not looked at
};

static_assert(sizeof(GraphRecord) == 8 && sizeof(TensorRecord) == 80 && sizeof(NodeRecord) == 552);

/// What a call may need of guest memory besides its tensors, for whoever runs it inside the guest. The same after as before.
inline constexpr std::int64_t stack_bytes = 256 * 1024;
/// The largest products that one operation may have, so that its scratch stays small: K by columns, K, rotated by positions.
inline constexpr std::int64_t activations_max = std::int64_t{1} << 26, width_max = std::int64_t{1} << 20,
                              angles_max = std::int64_t{1} << 24;

/// Sizes of the parts of the scratch, each a multiple of 64: the most that any node needs.
struct ScratchSizes {
    std::int64_t activations = 0, angles = 0, panel = 0;

    void include(const kernels::Node& node) noexcept
    {
        const auto grow = [](std::int64_t& size, std::int64_t needed) {
            const auto rounded = (needed + 63) / 64 * 64;
            size = rounded > size ? rounded : size;
        };
        const auto& x = node.source[1];
        if (kernels::is_product_of_blocks(node)) {
            grow(activations, kernels::activation_bytes(x.extent[0], x.extent[1] * x.extent[2] * x.extent[3]));
            grow(panel, kernels::panel_bytes(x.extent[0]));
        }
        if (node.op == kernels::Op::rope)
            grow(angles, kernels::angle_bytes(node.parameters[0], node.result.extent[2]));
    }
    std::int64_t bytes() const noexcept { return stack_bytes + activations + angles + panel; }
};

}  // namespace altiplano::tensor
