// The specification of the extension `tensor` as a program: the graph in the guest's memory, executed there (docs/arithmetic.md).
// Imports that memory, has no data of its own, and works on a stack and a scratch that the guest lends.
#ifdef ALTIPLANO_SCALAR  // bench/simd: the same without lanes
#include "kernels/portable.hpp"
namespace arithmetic = altiplano::kernels::portable;
#else
#include "kernels/lanes/wasm.hpp"

#include "kernels/vector/implementation.hpp"
namespace arithmetic = altiplano::kernels;
#endif
#include "tensor/check.hpp"

namespace {

using namespace altiplano;

/// Low half: kernels::Outcome, or 256 + tensor::Problem. High half: the node.
constexpr std::uint64_t answer(std::uint32_t what, std::uint32_t node)
{
    return static_cast<std::uint64_t>(node) << 32 | what;
}

/// Calls `each(step)` for the nodes of a graph that holds what it says.
template <class Each>
std::uint64_t walk(tensor::Checker& checker, const std::byte* graph, std::uint64_t graph_bytes, Each each)
{
    const auto refused = [](tensor::Problem problem, std::uint32_t node) {
        return answer(256U + static_cast<std::uint32_t>(problem), node);
    };
    tensor::GraphRecord header;
    if (graph_bytes < sizeof header)
        return refused(tensor::Problem::bad_graph, 0);
    __builtin_memcpy(&header, graph, sizeof header);
    if (header.magic != tensor::graph_magic || header.nodes > tensor::nodes_max
        || graph_bytes != sizeof header + header.nodes * sizeof(tensor::NodeRecord))
        return refused(tensor::Problem::bad_graph, 0);
    for (std::uint32_t i = 0; i < header.nodes; ++i) {
        tensor::NodeRecord record;
        __builtin_memcpy(&record, graph + sizeof header + i * sizeof record, sizeof record);
        tensor::Step step;
        if (const auto problem = checker.next(record, step); problem != tensor::Problem::none)
            return refused(problem, i);
        if (const auto outcome = each(step); outcome != kernels::Outcome::done)
            return answer(static_cast<std::uint32_t>(outcome), i);
    }
    return answer(0, 0);
}

}  // namespace

#define ALTIPLANO_EXPORT(name) extern "C" __attribute__((export_name(#name))) std::uint64_t name

/// What the graph costs; all ones when it is refused.
ALTIPLANO_EXPORT(gas)
(const std::byte* graph, std::uint64_t graph_bytes, std::uint64_t scratch, std::uint64_t scratch_bytes, std::uint64_t memory_bytes)
{
    const auto at = reinterpret_cast<std::uint64_t>(graph);
    tensor::Checker checker(nullptr, memory_bytes, {at, at + graph_bytes}, {scratch, scratch + scratch_bytes});
    const auto all = walk(checker, graph, graph_bytes, [](const tensor::Step&) { return kernels::Outcome::done; });
    return all == answer(0, 0) ? checker.gas() : ~std::uint64_t{0};
}

/// Executes it, on a stack that the caller has put into the first tensor::stack_bytes of the scratch.
ALTIPLANO_EXPORT(compute)
(const std::byte* graph, std::uint64_t graph_bytes, std::uint64_t scratch, std::uint64_t scratch_bytes, std::uint64_t memory_bytes)
{
    const auto at = reinterpret_cast<std::uint64_t>(graph);
    const tensor::Extent own{at, at + graph_bytes};
    const tensor::Extent lent{scratch, scratch + scratch_bytes};
    tensor::Checker sizes(nullptr, memory_bytes, own, lent);
    if (const auto refused = walk(sizes, graph, graph_bytes, [](const tensor::Step&) { return kernels::Outcome::done; });
        refused != answer(0, 0))
        return refused;
    const auto needed = sizes.scratch();
    if (static_cast<std::uint64_t>(needed.bytes()) > scratch_bytes)
        return answer(256U + static_cast<std::uint32_t>(tensor::Problem::small_scratch), 0);

    auto* const activations = reinterpret_cast<std::byte*>((scratch + tensor::stack_bytes));
    const kernels::Scratch parts{activations, activations + needed.activations, activations + needed.activations + needed.angles};
    tensor::Checker checker(nullptr, memory_bytes, own, lent);
    return walk(checker, graph, graph_bytes, [&](const tensor::Step& step) {
        auto outcome = kernels::Outcome::done;
        if (step.prepare)
            outcome = arithmetic::prepare(step.node, {}, parts);
        return outcome == kernels::Outcome::done ? arithmetic::run(step.node, {}, parts) : outcome;
    });
}
