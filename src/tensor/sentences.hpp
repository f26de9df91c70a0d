#pragma once

#include "tensor/check.hpp"
#include "vm/extension.hpp"

namespace altiplano::tensor {

/// What docs/arithmetic.md calls an operation, or its number.
std::string operation_name(std::uint32_t op);

/// The faults of a graph in words: the same on every node, since they are recorded.
vm::GuestFault refused(Problem problem, std::uint32_t node, const NodeRecord& record);
vm::GuestFault failed(kernels::Outcome outcome, std::uint32_t node, const NodeRecord& record);

}  // namespace altiplano::tensor
