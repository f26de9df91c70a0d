#include "tensor/own.hpp"

#include "base/log.hpp"
#include "cuda/errors.hpp"

namespace altiplano::tensor {

Own::Own(const kernels::Implementation& implementation, unsigned threads, CardOffer offer)
    : crew_(implementation, threads)
    , offer_(std::move(offer))
{
}

std::string Own::name()
{
    const auto on = card();
    return on ? on->name() : crew_.implementation().name;
}

std::shared_ptr<cuda::Card> Own::card()
{
    const std::lock_guard lock(mutex_);
    if (!card_ && offer_) {
        auto offered = offer_();
        if (offered && !*offered)
            return nullptr;
        offer_ = {};
        if (offered)
            card_ = *std::move(offered);
        else if (offered.error().code != cuda::errors::no_card)
            log::warning("{}: graphs are computed by the processor", offered.error().sentence);
    }
    return dropped_ ? nullptr : card_;
}

void Own::drop_card(const Error& why)
{
    const std::lock_guard lock(mutex_);
    if (!std::exchange(dropped_, true))
        log::warning("{}: graphs are computed by the processor from now on", why.sentence);
}

Executed Own::run(
    std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory, OnCard& kept, unsigned threads_max)
{
    if (const auto on = card()) {
        const auto executed = run_on(*on, steps, sizes, memory, kept);
        if (executed)
            return *executed;
        // Guest memory is as it was, so the processor can do it all.
        kept.reset();
        drop_card(executed.error());
    }
    return crew_.run(steps, sizes, threads_max);
}

Result<Executed> Own::run_on(
    cuda::Card& card, std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory, OnCard& kept)
{
    if (!kept) {
        std::vector<cuda::Step> nodes;
        nodes.reserve(steps.size());
        for (const auto& step : steps)
            nodes.push_back({&step.node, step.prepare});
        TRY(kept, card.plan(nodes, sizes.activations, sizes.angles, memory.bytes, memory.weights));
    }
    TRY(const auto ran, card.run(*kept));
    return Executed{ran.outcome, ran.node};
}

}  // namespace altiplano::tensor
