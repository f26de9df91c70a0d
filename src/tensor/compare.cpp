#include "tensor/compare.hpp"

#include "tensor/errors.hpp"
#include "tensor/reference.hpp"
#include "tensor/sentences.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace altiplano::tensor {

namespace {

using kernels::Outcome;

/// The positions in the text that a graph computes, as its first rotation has them; empty when it has none.
std::vector<std::int32_t> positions_of(std::span<const Step> steps)
{
    for (const auto& step : steps)
        if (step.node.op == kernels::Op::rope) {
            const auto& t = step.node.source[1];
            std::vector<std::int32_t> positions(static_cast<std::size_t>(t.extent[0]));
            for (std::size_t i = 0; i < positions.size(); ++i)
                std::memcpy(&positions[i], t.data + static_cast<std::int64_t>(i) * t.stride[0], sizeof positions[i]);
            return positions;
        }
    return {};
}

/// Which token an element's row belongs to: rows of a result count tokens along one of their extents.
std::string token_of(const kernels::Tensor& result, std::uint64_t offset, const std::vector<std::int32_t>& positions)
{
    if (positions.empty())
        return "of no known position";
    if (positions.size() == 1)
        return fmt::format("at position {}", positions[0]);
    for (const int d : {1, 2, 3})
        if (result.extent[d] == static_cast<std::int64_t>(positions.size()) && result.stride[d] > 0)
            return fmt::format("at position {}",
                positions[static_cast<std::size_t>(static_cast<std::int64_t>(offset) / result.stride[d] % result.extent[d])]);
    return fmt::format("of the positions {} to {}", positions.front(), positions.back());
}

std::string value_at(Bytes bytes, std::uint64_t offset)
{
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + offset / 4 * 4, std::min<std::size_t>(4, bytes.size() - offset / 4 * 4));
    return fmt::format("{:08x}", word);
}

}  // namespace

vm::Answer<Executed> run_compared(vm::CallContext& context, std::span<const vm::Value> arguments, Own& own,
    std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory, std::uint64_t call)
{
    // One node at a time is written where the guest's graph lies, and the reference module works on the guest's scratch.
    const auto graph = context.write(arguments[0], arguments[1]);
    if (!graph)
        return std::unexpected(graph.error());
    const auto scratch = context.write(arguments[2], arguments[3]);
    if (!scratch)
        return std::unexpected(scratch.error());
    const Buffer whole(graph->begin(), graph->end());
    const Buffer lent(scratch->begin(), scratch->end());
    const auto stack_top = arguments[2] + static_cast<std::uint64_t>(stack_bytes);
    const GraphRecord one_node{.nodes = 1};
    const vm::Value one[] = {
        arguments[0], sizeof(GraphRecord) + sizeof(NodeRecord), arguments[2], arguments[3], context.memory_bytes()};
    const auto positions = positions_of(steps);

    vm::Answer<Executed> executed = Executed{};
    for (std::uint32_t i = 0; i < steps.size() && executed && executed->outcome == Outcome::done; ++i) {
        auto step = steps[i];
        step.prepare = kernels::has_preparation(step.node);
        const auto result = context.write(step.result.begin, step.result.end - step.result.begin);
        if (!result) {
            executed = std::unexpected(result.error());
            break;
        }
        const Buffer before(result->begin(), result->end());
        Own::OnCard on_card;
        const auto computed = own.run({&step, 1}, sizes, memory, {}, on_card);
        const Buffer mine(result->begin(), result->end());
        std::ranges::copy(before, result->begin());

        NodeRecord record;
        std::memcpy(&record, whole.data() + sizeof(GraphRecord) + i * sizeof(NodeRecord), sizeof record);
        std::memcpy(graph->data(), &one_node, sizeof one_node);
        std::memcpy(graph->data() + sizeof one_node, &record, sizeof record);
        const auto answer =
            context.run_reference(tensor::specification(), reference_module(), "compute", stack_top, std::span(one));
        if (!answer) {
            executed = std::unexpected(answer.error());
            break;
        }
        const auto outcome = static_cast<Outcome>(*answer & 0xffffffffU);
        const auto differs = [&](std::uint64_t offset, std::string what) {
            return vm::stop(Error{errors::differs,
                fmt::format("call {} of the recomputation, the token {}, node {} of the graph, operation {}: {}", call,
                    token_of(step.node.result, offset, positions), i, operation_name(record.op), what),
                "the reference module is right by definition: this machine's own code, or the machine, computes wrongly"});
        };
        if (outcome != computed.outcome) {
            executed = differs(0,
                fmt::format("{} ends with outcome {}, the reference module with {}", own.name(),
                    static_cast<int>(computed.outcome), static_cast<int>(outcome)));
            break;
        }
        executed->outcome = outcome;
        executed->node = i;
        if (outcome != Outcome::done)
            break;
        const auto [there, here] = std::ranges::mismatch(*result, mine);
        if (there != result->end()) {
            const auto offset = static_cast<std::uint64_t>(there - result->begin());
            executed = differs(offset,
                fmt::format("{} has the bits {} at byte {} of the result, the reference module {}", own.name(),
                    value_at(mine, offset), offset, value_at(*result, offset)));
        }
    }
    std::ranges::copy(whole, graph->begin());
    std::ranges::copy(lent, scratch->begin());
    return executed;
}

}  // namespace altiplano::tensor
