#include "kernels/card/launch.hpp"

#include "kernels/arithmetic.hpp"

namespace altiplano::kernels::card {
namespace {

constexpr std::uint32_t block_threads = 256;
constexpr std::int64_t launch_rows_max = 65535;  ///< second extent of a launch, on every card
constexpr std::int64_t shares_max = std::int64_t{1} << 17, share_threads = 64;
constexpr std::uint32_t few_blocks_min = 256;
constexpr std::int64_t split_rows_max = 264;  ///< queries by heads: more fill a card without cutting them
constexpr std::int64_t parts_bytes_max = std::int64_t{64} << 20;

std::uint32_t pieces(std::int64_t n, std::int64_t each) noexcept
{
    return static_cast<std::uint32_t>((n + each - 1) / each);
}

/// Kernels of a format for one row in each warp, and for two.
struct ProductKernels {
    Kernel one = Kernel::share, two = Kernel::share;
};
ProductKernels product_kernels(Type type) noexcept
{
    switch (type) {
#define ALTIPLANO_X(name)                                                                                                        \
    case Type::name: return {Kernel::one_row_##name, Kernel::two_rows_##name};
        ALTIPLANO_BLOCK_TYPES(ALTIPLANO_X)
#undef ALTIPLANO_X
    default: return {};
    }
}
/// Of few columns, two rows in a warp where that leaves enough blocks to keep a card's multiprocessors at their loads.
Launch product_of_blocks(Type type, std::int64_t rows, std::int64_t columns) noexcept
{
    const auto kernels = product_kernels(type);
    const auto two = pieces(rows, block_threads / 32 * 2);
    if (columns <= few_columns_max && two >= few_blocks_min)
        return {kernels.two, two, 1, block_threads, false};
    return {kernels.one, pieces(rows, block_threads / 32), pieces(columns, product_columns), block_threads, false};
}

bool is_even(const Tensor& t) noexcept
{
    const auto together = reinterpret_cast<std::uintptr_t>(t.data) | static_cast<std::uintptr_t>(t.stride[1])
        | static_cast<std::uintptr_t>(t.stride[2]) | static_cast<std::uintptr_t>(t.stride[3]);
    return together % 2 == 0;
}

Launch shared(std::int64_t rows, bool preparing = false) noexcept
{
    return {Kernel::share, pieces(rows < shares_max ? rows : shares_max, share_threads), 1,
        static_cast<std::uint32_t>(share_threads), preparing};
}
/// `n` threads for each of some rows, which the kernel finds by its second extent.
Launch per_element(Kernel kernel, std::int64_t n, std::int64_t rows) noexcept
{
    const auto threads = n < block_threads ? pieces(n, 32) * 32 : block_threads;
    return rows <= launch_rows_max ? Launch{kernel, pieces(n, threads), static_cast<std::uint32_t>(rows), threads, false}
                                   : shared(rows);
}

Launch run_of(const Node& node) noexcept
{
    const auto rows = rows_of(node.result);
    const auto width = node.result.extent[0];
    switch (node.op) {
    case Op::mul_mat: {
        const auto& weights = node.source[0];
        const auto columns = rows_of(node.source[1]);
        const bool blocks = is_quantised(weights.type);
        const auto groups = pieces(columns, blocks ? product_columns : plain_columns);
        if (groups > launch_rows_max || !(is_even(weights) || weights.type == Type::f32 || weights.type == Type::mxfp4))
            return shared(weights.extent[1]);
        if (!blocks)
            return {Kernel::plain_product, pieces(weights.extent[1], block_threads / 16), groups, block_threads, false};
        return product_of_blocks(weights.type, weights.extent[1], columns);
    }
    case Op::mul_mat_id: return shared(node.source[0].extent[1]);
    case Op::rms_norm:
    case Op::norm:
    case Op::l2_norm: return {Kernel::norm, static_cast<std::uint32_t>(rows), 1, block_threads, false};
    case Op::rope: {
        const auto rotated = static_cast<std::int64_t>(node.parameters[0]);
        return per_element(Kernel::rope, width - rotated / 2, rows);
    }
    case Op::get_rows: return per_element(Kernel::get_rows, pieces(width, block_elements), rows);
    case Op::set_rows: return {Kernel::set_rows, pieces(node.source[0].extent[0], 64), 1, 64, false};
    case Op::flash_attention: {
        const auto queries = node.source[0].extent[1] * node.source[0].extent[2];
        if (!is_even(node.source[1]) || !is_even(node.source[2]))
            return shared(queries);
        const auto blocks = static_cast<std::uint32_t>(queries);
        if (part_bytes(node) == 0)
            return {Kernel::attention, blocks, 1, block_threads, false};
        return {Kernel::attention_segments, blocks, pieces(node.source[1].extent[1], segment_cells), block_threads, false};
    }
    case Op::copy:
    case Op::concat:
    case Op::add_id:
    case Op::argsort:
    case Op::sum_rows:
    case Op::soft_max: return shared(rows);
    default: return per_element(Kernel::elements, width, rows);
    }
}

}  // namespace

std::int64_t part_bytes(const Node& node) noexcept
{
    if (node.op != Op::flash_attention)
        return 0;
    const auto queries = node.source[0].extent[1] * node.source[0].extent[2];
    const auto segments = (node.source[1].extent[1] + segment_cells - 1) / segment_cells;
    if (queries > split_rows_max || segments == 1 || segments > launch_rows_max)
        return 0;
    const auto bytes = queries * segments * part_floats(node.source[0].extent[0]) * static_cast<std::int64_t>(sizeof(float));
    return bytes <= parts_bytes_max ? bytes : 0;
}

Launches launches_of(const Node& node, bool prepare) noexcept
{
    Launches all;
    if (prepare && is_product_of_blocks(node)) {
        const auto& x = node.source[1];
        const auto blocks = rows_of(x) * (x.extent[0] / block_elements);
        all.add({Kernel::quantise, pieces(blocks, block_threads / 32), 1, block_threads, true});
    }
    if (prepare && node.op == Op::rope) {
        const auto pairs = static_cast<std::int64_t>(node.parameters[0]) / 2 * node.result.extent[2];
        all.add({Kernel::angles, pieces(pairs, 64), 1, 64, true});
    }
    const auto run = run_of(node);
    all.add(run);
    if (run.kernel == Kernel::attention_segments)
        all.add({Kernel::attention_join, run.blocks, 1, run.threads, false});
    return all;
}

}  // namespace altiplano::kernels::card
