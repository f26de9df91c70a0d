#include "kernels/portable.hpp"

#include "kernels/arithmetic.hpp"

namespace altiplano::kernels::portable {

Outcome prepare(const Node& node, Share share, const Scratch& scratch)
{
    if (is_product_of_blocks(node))
        return quantise(node, share, scratch.activations);
    if (node.op == Op::rope)
        return angles(node, share, scratch.angles);
    return Outcome::done;
}

Outcome run(const Node& node, Share share, const Scratch& scratch)
{
    switch (node.op) {
    case Op::mul_mat: return mul_mat(node, share, scratch.activations);
    case Op::mul_mat_id: return mul_mat_id(node, share, scratch.activations);
    case Op::rope: return rope(node, share, scratch.angles);
    case Op::flash_attention: return flash_attention(node, share);
    default: return by_rows(node, share);
    }
}

}  // namespace altiplano::kernels::portable
