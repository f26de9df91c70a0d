#pragma once

#include "tensor/own.hpp"
#include "vm/extension.hpp"

namespace altiplano::tensor {

/// Runs a graph node by node, each by this program's own code and by the reference module, to find the first that differs: what a
/// doubter does who knows that something is wrong, and wants to know what. Slow. Goes on with what the reference module gives.
/// @param arguments  of the call; its graph and its scratch are afterwards as they were
/// @return tensor.differs, which names the token's position, the node, its operation and the element
vm::Answer<Executed> run_compared(vm::CallContext& context, std::span<const vm::Value> arguments, Own& own,
    std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory, std::uint64_t call);

}  // namespace altiplano::tensor
