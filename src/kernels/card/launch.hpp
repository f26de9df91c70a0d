#pragma once

#include "kernels/node.hpp"

/// How a node becomes launches of kernels on a graphics card. Shared by the card's code and by whoever launches it.
namespace altiplano::kernels::card {

/// Formats of blocks; each has kernels of its own, since what one of them needs in registers all would.
#define ALTIPLANO_BLOCK_TYPES(X)                                                                                                 \
    X(q4_0) X(q4_1) X(q5_0) X(q5_1) X(q8_0) X(q2_k) X(q3_k) X(q4_k) X(q5_k) X(q6_k) X(iq4_nl) X(iq4_xs) X(mxfp4)

/// The kernels, in the order of `names`.
enum class Kernel : std::uint32_t {
    share,  ///< the scalar definition, each thread a share of its own: whatever has no kernel here
    quantise,
    angles,
    plain_product,
    norm,
    elements,
    rope,
    get_rows,
    set_rows,
    attention,  ///< a block takes a query and a head through all segments
    attention_segments,  ///< a block takes one segment, and leaves its part
    attention_join,
#define ALTIPLANO_X(type) two_rows_##type, one_row_##type,  ///< product of blocks, whose rows lie on even addresses
    ALTIPLANO_BLOCK_TYPES(ALTIPLANO_X)
#undef ALTIPLANO_X
};
inline constexpr unsigned kernels = 38;
/// As the compiled code exports them.
inline constexpr const char* names[kernels] = {"altiplano_share", "altiplano_quantise", "altiplano_angles",
    "altiplano_plain_product", "altiplano_norm", "altiplano_elements", "altiplano_rope", "altiplano_get_rows",
    "altiplano_set_rows", "altiplano_attention", "altiplano_attention_segments", "altiplano_attention_join",
#define ALTIPLANO_X(type) "altiplano_two_rows_" #type, "altiplano_one_row_" #type,
    ALTIPLANO_BLOCK_TYPES(ALTIPLANO_X)
#undef ALTIPLANO_X
};

/// Set by a thread that fails: in preparation or in the run, not finite or a bad index. Zero before.
struct Verdict {
    std::uint32_t prepare_not_finite = 0, prepare_bad_index = 0, run_not_finite = 0, run_bad_index = 0;
};
constexpr Outcome outcome_of(const Verdict& v) noexcept
{
    if (v.prepare_not_finite != 0 || v.prepare_bad_index != 0)
        return v.prepare_bad_index != 0 ? Outcome::bad_index : Outcome::not_finite;
    if (v.run_not_finite != 0 || v.run_bad_index != 0)
        return v.run_bad_index != 0 ? Outcome::bad_index : Outcome::not_finite;
    return Outcome::done;
}

/// What each kernel is called with besides its node, which goes as a parameter too: a card has parameters at hand, where each
/// look into its memory costs most of a microsecond. Pointers, the node's own too, are the card's.
struct Call {
    const Node* node = nullptr;  ///< the parameter, set by the kernel
    Verdict* verdict = nullptr;
    std::byte* activations = nullptr;  ///< as in Scratch
    std::byte* angles = nullptr;
    std::byte* parts = nullptr;  ///< part_bytes: what segments of attention leave
    std::uint32_t preparing = 0;
};

struct Launch {
    Kernel kernel{};
    std::uint32_t blocks = 1, rows = 1, threads = 32;  ///< blocks in two extents, threads in each
    bool preparing = false;
};
struct Launches {
    Launch launch[3]{};
    unsigned count = 0;
    void add(const Launch& one) noexcept { launch[count++] = one; }
};

/// @param prepare  whether the activations or angles are not there yet from the node before
Launches launches_of(const Node& node, bool prepare) noexcept;

/// Columns that one warp takes through a row of weights at once...
inline constexpr std::int64_t product_columns = 16;
/// ... or, where there are no more than `few_columns_max`, through one row or two, for which activations are loaded once.
inline constexpr std::int64_t few_columns_max = 4;
inline constexpr std::int64_t product_rows_max = 2;
static_assert(product_rows_max * few_columns_max <= product_columns);
inline constexpr std::int64_t plain_columns = 4;
/// Of one segment: maximum, weight, whether a cell was seen, and the output.
constexpr std::int64_t part_floats(std::int64_t width) noexcept
{
    return 3 + width;
}
/// 0 where attention does without.
std::int64_t part_bytes(const Node& node) noexcept;

}  // namespace altiplano::kernels::card
