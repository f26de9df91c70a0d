#pragma once

#include "cuda/card.hpp"
#include "tensor/crew.hpp"

#include <atomic>

namespace altiplano::tensor {

/// The guest's memory, and what of it shows items.
struct GuestMemory {
    std::span<std::byte> bytes{};
    std::vector<cuda::Weights> weights{};
};

/// This program's own arithmetic: on the processor's threads, or on a graphics card while that works. Any thread.
class Own {
public:
    /// @param card  may be nullptr
    Own(const kernels::Implementation& implementation, unsigned threads, std::shared_ptr<cuda::Card> card);

    /// What a card has made of a graph; lives with the graph's steps, while memory lies where it is and shows the same items.
    using OnCard = std::shared_ptr<cuda::Card::Plan>;
    /// @param threads_max  of the processor's, for this call
    Executed run(std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory, OnCard& kept,
        unsigned threads_max = ~0U);

    /// Whether `kept` and the weights of a GuestMemory are of any use.
    bool uses_card() const noexcept { return card_ != nullptr && !dropped_; }
    std::string name() const { return uses_card() ? card_->name() : crew_.implementation().name; }

private:
    Result<Executed> run_on_card(std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory, OnCard& kept);

    Crew crew_;
    const std::shared_ptr<cuda::Card> card_;
    std::atomic<bool> dropped_{false};
};

}  // namespace altiplano::tensor
