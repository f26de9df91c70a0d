#pragma once

#include "kernels/node.hpp"
#include "vm/extension.hpp"

namespace altiplano::tensor {

/// How this node computes graphs. Shows in no result, root or gas figure.
struct Options {
    /// Whose arithmetic is what counts: this program's own code; the reference module; or both, node by node, where the first
    /// difference ends the message with tensor.differs (compare.hpp).
    enum class By : std::uint8_t { own, reference, both };

    std::string_view implementation{};  ///< of kernels::implementations(); empty: the fastest that this machine can run
    unsigned threads = 1;
    By by = By::own;
};

/// The import `altiplano.compute(graph, graph bytes, scratch, scratch bytes: i64) -> i32`: executes a graph of operations on
/// tensors in the guest's memory (graph.hpp) and answers 0. Results of nodes are written, nothing else; the scratch is afterwards
/// as it was before. Whatever is outside the specification, docs/arithmetic.md, ends the message (errors.hpp).
/// @return nullptr if this machine cannot run `options.implementation`
std::shared_ptr<vm::Extension> extension(const Options& options = {});

/// What `extension` takes for the fastest from now on: for test programs whose arithmetic is to be wrong.
void use_implementation(const kernels::Implementation& implementation) noexcept;

}  // namespace altiplano::tensor
