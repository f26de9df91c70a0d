#pragma once

#include "cuda/card.hpp"
#include "tensor/crew.hpp"

#include <functional>
#include <mutex>

namespace altiplano::tensor {

/// Asked for a card before each graph until it gives one, and again when that has failed. @return nullptr: not yet; an Error:
/// never
using CardOffer = std::function<Result<std::shared_ptr<cuda::Card>>()>;

/// The guest's memory, and what of it shows items.
struct GuestMemory {
    std::span<std::byte> bytes{};
    std::vector<cuda::Weights> weights{};
};

/// This program's own arithmetic: on the processor's threads, or on a graphics card while that works. Any thread.
class Own {
public:
    /// @param offer  may be empty: there is no card
    Own(const kernels::Implementation& implementation, unsigned threads, CardOffer offer);

    /// What a card has made of a graph; lives with the graph's steps, while memory lies where it is and shows the same items.
    struct Planned {
        std::shared_ptr<cuda::Card> card;
        std::shared_ptr<cuda::Card::Plan> plan;  // after the card, which it may not outlive
    };
    using OnCard = std::shared_ptr<const Planned>;
    /// @param written  saves a card comparing
    /// @param threads_max  of the processor's, for this call
    Executed run(std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory,
        const cuda::TakeWritten& written, OnCard& kept, unsigned threads_max = ~0U);

    /// Whether `kept` and the weights of a GuestMemory are of any use.
    bool uses_card() { return card() != nullptr; }
    std::string name();

private:
    /// The one that works now.
    std::shared_ptr<cuda::Card> card();
    void drop_card(const cuda::Card& which, const Error& why);

    Crew crew_;
    std::mutex mutex_;
    CardOffer offer_;  ///< empty when there is nothing more to ask
    std::shared_ptr<cuda::Card> card_;
    int failed_ = 0;  ///< cards
};

}  // namespace altiplano::tensor
