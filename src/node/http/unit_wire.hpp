#pragma once

#include "node/http/router.hpp"
#include "node/node.hpp"

/// What our units ask each other, below `/~altiplano/` of a unit's own paths, where AO's wire is not exact (units/README.md).
namespace altiplano::node::http {

void add_scheduler_wire(Router& router, Node& node);
void add_compute_wire(Router& router, Node& node);
/// What nodes that follow this one's weave ask.
void add_weave_wire(Router& router, Node& node);

}  // namespace altiplano::node::http
