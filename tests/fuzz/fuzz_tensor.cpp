// Graphs for the extension `tensor`: whatever they say, the portable code and the fastest agree on the fault and on every byte of
// memory, and nothing but results of nodes was written. The input is the nodes' records as they lie in the guest's memory.
#include "kernels/implementations.hpp"
#include "tensor/extension.hpp"
#include "tensor/hostile_graphs.hpp"

#include <algorithm>

using namespace altiplano;
using namespace altiplano::tensor;

namespace {

constexpr std::size_t nodes_at_once = 6;

std::vector<NodeRecord> nodes_in(const std::uint8_t* data, std::size_t size)
{
    std::vector<NodeRecord> nodes(std::min(size / sizeof(NodeRecord), nodes_at_once));
    if (!nodes.empty())
        std::memcpy(nodes.data(), data, nodes.size() * sizeof(NodeRecord));
    return nodes;
}

/// The same for every input.
const Memory& contents()
{
    static const auto filled = [] {
        auto memory = std::make_unique<Memory>();
        Hostile(7).fill(*memory);
        memory->gas = 100'000;  // a graph may ask for hours of work with a few numbers
        return memory;
    }();
    return *filled;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const auto portable = extension({.implementation = "portable"});
    static const auto fastest = extension();
    const auto nodes = nodes_in(data, size);
    if (nodes.empty())
        return 0;
    Memory one;
    Memory other;
    Memory untouched;
    for (auto* memory : {&one, &other, &untouched}) {
        memory->words = contents().words;
        memory->gas = contents().gas;
    }
    const auto found = fault(one.compute(*portable, nodes));
    ENSURE(fault(other.compute(*fastest, nodes)) == found && one.gas == other.gas, "implementations agree on fault and gas");
    if (found == "trap.tensor_not_finite" || found == "trap.tensor_bad_index")
        return 0;  // the message is over, its memory rolls back
    ENSURE(one.words == other.words, "implementations agree on every byte");
    untouched.put(graph_at, one.get<std::byte>(graph_at, sizeof(GraphRecord) + nodes.size() * sizeof(NodeRecord)));
    if (found == "none") {
        forget_results(one, nodes);
        forget_results(untouched, nodes);
    }
    ENSURE(
        one.words == untouched.words, "nothing but the results of nodes is written, and nothing at all by a graph with a fault");
    return 0;
}

// Only where libFuzzer is linked.
extern "C" [[gnu::weak]] std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

/// Random bytes are refused at the first word: half of the mutations make a new graph that is almost right, or spoil a number.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t size_max, unsigned seed)
{
    Hostile hostile(seed);
    auto nodes = nodes_in(data, size);
    if (seed % 4 == 0 || nodes.empty())
        nodes = hostile.graph();
    else if (seed % 4 == 1)
        hostile.spoil(nodes[seed / 4 % nodes.size()]);
    else
        return LLVMFuzzerMutate(data, size, size_max);
    const auto bytes = std::min(nodes.size() * sizeof(NodeRecord), size_max / sizeof(NodeRecord) * sizeof(NodeRecord));
    std::memcpy(data, nodes.data(), bytes);
    return bytes;
}
