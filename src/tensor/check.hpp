#pragma once

#include "tensor/graph.hpp"

/// What a hostile graph must get past before anything is computed. Uses nothing but kernels' headers: the reference module has
/// the same code.
namespace altiplano::tensor {

/// Why a node is refused. The numbers are the specification's: a recorded fault names them in words.
enum class Problem : std::uint32_t {
    none = 0,
    bad_graph = 1,  ///< length, magic or number of nodes
    unknown_operation = 2,
    wrong_sources = 3,  ///< how many there are
    unsupported_format = 4,
    bad_shape = 5,
    bad_stride = 6,  ///< overlapping, unaligned or scattered rows
    outside_memory = 7,
    bad_parameter = 8,
    overlap = 9,  ///< a result over a source, the graph or the scratch
    too_large = 10,
    small_scratch = 11,
};

/// Half-open, in guest memory.
struct Extent {
    std::uint64_t begin = 0, end = 0;
    bool overlaps(const Extent& other) const noexcept { return begin < other.end && other.begin < end; }
};

/// One node, ready to run.
struct Step {
    kernels::Node node;
    bool prepare = false;  ///< has_preparation, and the one before does not serve
    Extent result;
};

/// Looks at the nodes of one graph in their order. State: what the scratch holds from an earlier node.
class Checker {
public:
    /// @param base  where address 0 of the guest lies in this address space
    Checker(std::byte* base, std::uint64_t memory_bytes, Extent graph, Extent scratch) noexcept
        : base_(base)
        , memory_bytes_(memory_bytes)
        , graph_(graph)
        , scratch_(scratch)
    {
    }

    /// Fills `step` and adds to gas() and scratch(). On a problem the step means nothing.
    Problem next(const NodeRecord& record, Step& step) noexcept;

    /// What the nodes so far cost (docs/arithmetic.md §8); saturates.
    std::uint64_t gas() const noexcept { return gas_; }
    const ScratchSizes& scratch() const noexcept { return sizes_; }

private:
    Problem tensor(const TensorRecord& record, bool scattered, kernels::Tensor& tensor, Extent& extent) const noexcept;
    bool still_prepared(const NodeRecord& record, const Step& step, const Extent* sources) noexcept;

    /// What `activations` or `angles` of the scratch were made of.
    struct Prepared {
        bool valid = false;
        NodeRecord record{};
        Extent extent[2]{};
    };

    std::byte* base_;
    std::uint64_t memory_bytes_;
    Extent graph_, scratch_;
    std::uint64_t gas_ = 0;
    ScratchSizes sizes_;
    Prepared activations_, angles_;
};

/// What a node costs, as the specification has it.
std::uint64_t gas_of(const kernels::Node& node) noexcept;

}  // namespace altiplano::tensor
