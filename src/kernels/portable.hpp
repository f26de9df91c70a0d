#pragma once

#include "kernels/node.hpp"

/// The contract in plain scalar C++, operation by operation as docs/arithmetic.md has it. Slow; what the vector code is tested
/// against. A share does whole rows; none of them changes a bit of what another does.
namespace altiplano::kernels::portable {

Outcome prepare(const Node& node, Share share, const Scratch& scratch);
Outcome run(const Node& node, Share share, const Scratch& scratch);

Outcome quantise(const Node& node, Share share, std::byte* activations);
Outcome mul_mat(const Node& node, Share share, std::byte* activations);
Outcome mul_mat_id(const Node& node, Share share, std::byte* activations);
Outcome angles(const Node& node, Share share, std::byte* angles);
Outcome rope(const Node& node, Share share, const std::byte* angles);
Outcome flash_attention(const Node& node, Share share);
Outcome by_rows(const Node& node, Share share);  ///< every other operation

}  // namespace altiplano::kernels::portable
