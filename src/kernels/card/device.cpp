// What runs on a graphics card: compiled for NVPTX by cmake/compile_card, one function per Kernel. The scalar definition is part
// of it, for what has no kernel of its own.
#include "kernels/portable.cpp"
#include "kernels/portable_attention.cpp"
#include "kernels/portable_product.cpp"
#include "kernels/portable_rows.cpp"

#include "kernels/card/attention.hpp"
#include "kernels/card/rows.hpp"
#include "kernels/card/share.hpp"

#define ALTIPLANO_KERNEL(name)                                                                                                   \
    extern "C" [[clang::nvptx_kernel]] void altiplano_##name(                                                                    \
        const altiplano::kernels::card::Call call, const altiplano::kernels::Node node)                                          \
    {                                                                                                                            \
        auto with_node = call;                                                                                                   \
        with_node.node = &node;                                                                                                  \
        altiplano::kernels::card::name(with_node);                                                                               \
    }

ALTIPLANO_KERNEL(share)
ALTIPLANO_KERNEL(quantise)
ALTIPLANO_KERNEL(angles)
ALTIPLANO_KERNEL(plain_product)
ALTIPLANO_KERNEL(norm)
ALTIPLANO_KERNEL(elements)
ALTIPLANO_KERNEL(rope)
ALTIPLANO_KERNEL(get_rows)
ALTIPLANO_KERNEL(set_rows)
ALTIPLANO_KERNEL(attention)
ALTIPLANO_KERNEL(attention_segments)
ALTIPLANO_KERNEL(attention_join)
#define ALTIPLANO_X(type) ALTIPLANO_KERNEL(two_rows_##type) ALTIPLANO_KERNEL(one_row_##type)
ALTIPLANO_BLOCK_TYPES(ALTIPLANO_X)
#undef ALTIPLANO_X
