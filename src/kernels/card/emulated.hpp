#pragma once

#include "kernels/card/launch.hpp"

/// A graphics card made of fibers: the kernels of a card on this machine, slowly, for tests. A block's threads run in turn, each
/// up to where it has to meet others. What only shows when they really run at once, such as a missing meeting, it does not find.
namespace altiplano::kernels::card {

/// Ends the program when threads of a warp or block wait for each other without end.
void emulate(const Launch& launch, const Call& call);

/// `card`: launches_of a node, emulated. Share 0 does it all.
const Implementation& emulated_implementation() noexcept;

}  // namespace altiplano::kernels::card
