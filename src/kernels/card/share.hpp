#pragma once

#include "kernels/card/products.hpp"
#include "kernels/portable.hpp"

/// The scalar definition on a card: each thread is a share of its own.
namespace altiplano::kernels::card {

static inline void share(const Call& call)
{
    const Share mine{static_cast<unsigned>(place()), static_cast<unsigned>(places())};
    switch (portable::run(*call.node, mine, {call.activations, call.angles, nullptr})) {
    case Outcome::done: break;
    case Outcome::not_finite: return fail_not_finite(call);
    case Outcome::bad_index: return fail_bad_index(call);
    }
}

}  // namespace altiplano::kernels::card
