#pragma once

#include "tensor/own.hpp"
#include "vm/extension.hpp"

#include <atomic>

namespace altiplano::tensor {

/// How this node computes graphs. Shows in no result, root or gas figure.
struct Options {
    /// Whose arithmetic is what counts: this program's own code; the reference module; or both, node by node, where the first
    /// difference ends the message with tensor.differs (compare.hpp).
    enum class By : std::uint8_t { own, reference, both };

    /// Of kernels::implementations(), or `cuda`: the first graphics card. Empty: the fastest that this machine's processor can
    /// run.
    std::string_view implementation{};
    unsigned threads = 1;  ///< of the processor that a call may use
    /// How many of them a call may use just now, looked at by every call. Null: all.
    std::shared_ptr<const std::atomic<std::uint32_t>> threads_now{};
    By by = By::own;
};

/// The import `altiplano.compute(graph, graph bytes, scratch, scratch bytes: i64) -> i32`: executes a graph of operations on
/// tensors in the guest's memory (graph.hpp) and answers 0. Results of nodes are written, nothing else; the scratch is afterwards
/// as it was before. Whatever is outside the specification, docs/arithmetic.md, ends the message (errors.hpp).
/// @return nullptr if this machine cannot run `options.implementation`
std::shared_ptr<vm::Extension> extension(const Options& options = {});

/// The same on a graphics card that has passed its self-test. When it fails later, the processor does its work.
std::shared_ptr<vm::Extension> extension_on(std::shared_ptr<cuda::Card> card, const Options& options = {});
/// The same where the card is still to come; until then, and without one, the processor works.
std::shared_ptr<vm::Extension> extension_on(CardOffer card, const Options& options = {});

/// What `extension` takes for the fastest from now on: for test programs whose arithmetic is to be wrong.
void use_implementation(const kernels::Implementation& implementation) noexcept;

}  // namespace altiplano::tensor
