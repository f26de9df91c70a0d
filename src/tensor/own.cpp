#include "tensor/own.hpp"

#include "base/log.hpp"
#include "cuda/errors.hpp"

namespace altiplano::tensor {

namespace {

constexpr int failed_max = 3;

Result<Own::OnCard> planned(
    std::shared_ptr<cuda::Card> card, std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory)
{
    std::vector<cuda::Step> nodes;
    nodes.reserve(steps.size());
    for (const auto& step : steps)
        nodes.push_back({&step.node, step.prepare});
    TRY(auto plan, card->plan(nodes, sizes.activations, sizes.angles, memory.bytes, memory.weights));
    return std::make_shared<const Own::Planned>(std::move(card), std::move(plan));
}

}  // namespace

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
        if (offered) {
            card_ = *std::move(offered);
        } else {
            offer_ = {};
            if (offered.error().code != cuda::errors::no_card)
                log::warning("{}: graphs are computed by the processor", offered.error().sentence);
        }
    }
    return card_;
}

void Own::drop_card(const cuda::Card& which, const Error& why)
{
    const std::lock_guard lock(mutex_);
    if (card_.get() != &which)
        return;
    card_.reset();
    if (++failed_ == failed_max)
        offer_ = {};
    log::warning("{}: this graph is computed by the processor{}", why.sentence, offer_ ? "" : ", and so are all from now on");
}

Executed Own::run(std::span<const Step> steps, const ScratchSizes& sizes, const GuestMemory& memory,
    const cuda::TakeWritten& written, OnCard& kept, unsigned threads_max)
{
    if (const auto on = card()) {
        const auto executed = [&]() -> Result<Executed> {
            if (!kept || kept->card != on) {
                TRY(kept, planned(on, steps, sizes, memory));
            }
            TRY(const auto ran, on->run(*kept->plan, written));
            return Executed{ran.outcome, ran.node};
        }();
        if (executed)
            return *executed;
        // Guest memory is as it was, so the processor can do it all.
        kept.reset();
        drop_card(*on, executed.error());
    }
    return crew_.run(steps, sizes, threads_max);
}

}  // namespace altiplano::tensor
