#pragma once

#include "kernels/portable.hpp"
#include "kernels/vector/attention.hpp"
#include "kernels/vector/float_product.hpp"
#include "kernels/vector/product.hpp"
#include "kernels/vector/rows.hpp"

/// The contract on sixteen lanes: include the pieces of one instruction set first. What is not worth lanes is the portable code.
namespace altiplano::kernels {
namespace {

inline Outcome prepare(const Node& node, Share share, const Scratch& scratch)
{
    if (is_product_of_blocks(node))
        return quantise(node, share, scratch.activations);
    if (node.op == Op::rope)
        return portable::angles(node, share, scratch.angles);
    return Outcome::done;
}

inline Outcome run(const Node& node, Share share, const Scratch& scratch)
{
    switch (node.op) {
    case Op::mul_mat:
        return is_quantised(node.source[0].type) ? product_of_blocks(node, share, scratch) : product_of_floats(node, share);
    case Op::mul_mat_id:
        return is_quantised(node.source[0].type) ? product_of_blocks(node, share, scratch)
                                                 : products_of_floats_by_id(node, share);
    case Op::rope: return portable::rope(node, share, scratch.angles);
    case Op::flash_attention:
        return node.source[1].extent[1] % cell_group == 0 ? flash_attention(node, share) : portable::flash_attention(node, share);
    default: return by_rows(node, share);
    }
}

}  // namespace
}  // namespace altiplano::kernels
