#include "tensor/own.hpp"

#include "base/log.hpp"

namespace altiplano::tensor {

Own::Own(const kernels::Implementation& implementation, unsigned threads, std::shared_ptr<cuda::Card> card)
    : crew_(implementation, threads)
    , card_(std::move(card))
{
}

Executed Own::run(
    std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory, OnCard& kept, unsigned threads_max)
{
    if (uses_card()) {
        const auto executed = run_on_card(steps, sizes, memory, kept);
        if (executed)
            return *executed;
        // Guest memory is as it was, so the processor can do it all.
        if (!dropped_.exchange(true))
            log::warning("{}: graphs are computed by the processor from now on", executed.error().sentence);
        kept.reset();
    }
    return crew_.run(steps, sizes, threads_max);
}

Result<Executed> Own::run_on_card(std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory, OnCard& kept)
{
    if (!kept) {
        std::vector<cuda::Step> nodes;
        nodes.reserve(steps.size());
        for (const auto& step : steps)
            nodes.push_back({&step.node, step.prepare});
        TRY(kept, card_->plan(nodes, sizes.activations, sizes.angles, memory.bytes, memory.weights));
    }
    TRY(const auto ran, card_->run(*kept));
    return Executed{ran.outcome, ran.node};
}

}  // namespace altiplano::tensor
