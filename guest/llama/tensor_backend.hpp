// A ggml device that hands whole graphs to the host through one import, altiplano.compute (docs/arithmetic.md). What that
// does not know, ggml's own CPU backend does in the guest: the choice is made here, by the specification, never by the node.
#pragma once

#include <ggml-backend.h>

namespace altiplano::guest {

/// Registers the device, once. Before the first model is loaded.
void register_tensor_device();

}  // namespace altiplano::guest
