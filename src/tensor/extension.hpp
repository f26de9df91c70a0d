#pragma once

#include "vm/extension.hpp"

namespace altiplano::tensor {

/// How this node computes graphs. Shows in no result, root or gas figure.
struct Options {
    std::string_view implementation{};  ///< of kernels::implementations(); empty: the fastest that this machine can run
    unsigned threads = 1;
    bool reference = false;  ///< run the reference module instead of this program's own code
};

/// The import `altiplano.compute(graph, graph bytes, scratch, scratch bytes: i64) -> i32`: executes a graph of operations on
/// tensors in the guest's memory (graph.hpp) and answers 0. Results of nodes are written, nothing else; the scratch is afterwards
/// as it was before. Whatever is outside the specification, docs/arithmetic.md, ends the message (errors.hpp).
/// @return nullptr if this machine cannot run `options.implementation`
std::shared_ptr<vm::Extension> extension(const Options& options = {});

}  // namespace altiplano::tensor
