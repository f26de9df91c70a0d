// The program with one rounding flipped: of every product of quantised weights, the first element of the last row of results has
// its last bit the other way. What a miscompiled kernel or a broken core does.
#include "kernels/implementations.hpp"
#include "tensor/extension.hpp"

namespace {

using namespace altiplano;

const kernels::Implementation& right()
{
    return kernels::best_implementation();
}

kernels::Outcome run_wrong(const kernels::Node& node, kernels::Share share, const kernels::Scratch& scratch)
{
    const auto outcome = right().run(node, share, scratch);
    if (kernels::is_product_of_blocks(node) && share.index == share.count - 1) {
        auto* const last = node.result.data + (node.result.extent[1] - 1) * node.result.stride[1];
        *last ^= std::byte{1};
    }
    return outcome;
}

const kernels::Implementation wrong{"one rounding flipped", right().prepare, run_wrong};
[[maybe_unused]] const bool set = (tensor::use_implementation(wrong), true);

}  // namespace
