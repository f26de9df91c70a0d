// ggml's operations as the extension `tensor` names them.
#pragma once

#include <ggml.h>

#include <tensor/graph.hpp>

namespace altiplano::guest {

/// The record of one node, addresses as they are. @return false: no operation of the specification
bool translate(const ggml_tensor& node, tensor::NodeRecord& record);

/// Whether the extension would take it, whatever its addresses will be.
bool is_supported(const ggml_tensor& node);

/// Operations that only name memory in another way: nothing to compute.
bool is_view(const ggml_tensor& node);

}  // namespace altiplano::guest
