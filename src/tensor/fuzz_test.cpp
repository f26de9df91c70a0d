#include "cuda/emulated.hpp"
#include "kernels/implementations.hpp"
#include "tensor/extension.hpp"
#include "tensor/hostile_graphs.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

/// Hostile graphs: random ones, most of them almost right. Whatever they say, implementations agree on the fault and on every
/// byte of memory, and nothing but results of nodes was written. ALTIPLANO_FUZZ_SECONDS makes it long, ALTIPLANO_FUZZ_SEED
/// another.
namespace altiplano::tensor {
namespace {

TEST(HostileGraphs, give_every_implementation_the_same_and_touch_nothing_else)
{
    const auto* const seconds = std::getenv("ALTIPLANO_FUZZ_SECONDS");
    const auto* const seed = std::getenv("ALTIPLANO_FUZZ_SEED");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds != nullptr ? std::atoi(seconds) : 0);
    Hostile hostile(seed != nullptr ? std::strtoull(seed, nullptr, 10) : 1);
    std::vector<std::shared_ptr<vm::Extension>> all;
    for (const auto* implementation : kernels::implementations())
        all.push_back(extension({.implementation = implementation->name}));
    if (auto card = extension({.implementation = "cuda"}))
        all.push_back(std::move(card));
    all.push_back(extension_on(std::make_shared<cuda::Card>(std::make_unique<cuda::EmulatedDevice>())));

    int graphs = 0;
    int computed = 0;
    Memory before;
    before.gas = 3'000'000;  // a graph may ask for hours of work with a few numbers
    for (; graphs < 400 || std::chrono::steady_clock::now() < end; ++graphs) {
        hostile.fill(before);
        const auto nodes = hostile.graph();
        std::string_view first_fault;
        std::vector<std::uint64_t> first_words;
        for (const auto& one : all) {
            Memory memory;
            memory.words = before.words;
            memory.gas = before.gas;
            const auto found = fault(memory.compute(*one, nodes));
            if (first_fault.empty())
                first_fault = found;
            ASSERT_EQ(found, first_fault) << "graph " << graphs;
            if (found == "trap.tensor_not_finite" || found == "trap.tensor_bad_index")
                continue;  // the message is over, its memory rolls back
            if (first_words.empty())
                first_words = memory.words;
            ASSERT_TRUE(memory.words == first_words) << "graph " << graphs;
            if (found != "none")
                continue;
            ++computed;
            Memory untouched;
            untouched.words = before.words;
            untouched.put(graph_at, memory.get<std::byte>(graph_at, sizeof(GraphRecord) + nodes.size() * sizeof(NodeRecord)));
            forget_results(memory, nodes);
            forget_results(untouched, nodes);
            ASSERT_TRUE(memory.words == untouched.words) << "graph " << graphs;
        }
    }
    EXPECT_GT(computed, graphs / 8);
    if (seconds != nullptr)
        std::printf("%d graphs, %d computations\n", graphs, computed);
}

}  // namespace
}  // namespace altiplano::tensor
