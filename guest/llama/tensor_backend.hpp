// A ggml device that hands whole graphs to the host through one import, altiplano.compute (docs/arithmetic.md). What that
// does not know, ggml's own CPU backend does in the guest: the choice is made here, by the specification, never by the node.
#pragma once

#include <ggml-backend.h>

#include <cstddef>

namespace altiplano::guest {

/// Registers the device, once. Before the first model is loaded.
void register_tensor_device();

/// Zeroes what graphs computed on the way, so that nothing of it is in the process's state after the message: results were copied
/// from there, and whatever a graph reads is written again before it is computed again. What only ggml's CPU backend touched stays.
/// @return bytes
std::size_t clear_scratch();

}  // namespace altiplano::guest
