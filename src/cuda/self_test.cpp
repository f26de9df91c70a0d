#include "cuda/card.hpp"
#include "cuda/errors.hpp"
#include "kernels/implementations.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace altiplano::cuda {

namespace {

using kernels::Node;
using kernels::Op;
using kernels::Tensor;
using kernels::Type;

/// One node over memory of its own, filled with numbers that look random.
class Trial {
public:
    explicit Trial(std::uint64_t seed, std::size_t bytes = std::size_t{1} << 20)
        : memory_(bytes)
        , state_(seed)
    {
    }

    /// @param mask  of every byte: 0xbb leaves halves and floats small
    Tensor tensor(Type type, std::uint8_t mask, std::int64_t e0, std::int64_t e1 = 1, std::int64_t e2 = 1)
    {
        const auto format = kernels::format_of(type);
        const auto row = e0 / format.block_elements * format.block_bytes;
        Tensor made{memory_.data() + used_, {e0, e1, e2, 1}, {format.block_bytes, row, row * e1, row * e1 * e2}, type};
        const auto bytes = static_cast<std::size_t>(row * e1 * e2);
        for (std::size_t i = 0; i < bytes; ++i)
            made.data[i] = static_cast<std::byte>(next() & mask);
        used_ += (bytes + 63) / 64 * 64;
        return made;
    }
    /// Numbers below `count`.
    Tensor indices(Type type, std::int64_t count, std::int64_t n, std::int64_t rows = 1)
    {
        const auto made = tensor(type, 0, n, rows);
        for (std::int64_t i = 0; i < n * rows; ++i)
            made.data[i * made.stride[0]] = static_cast<std::byte>(next() % static_cast<std::uint64_t>(count));
        return made;
    }
    std::span<std::byte> memory() { return memory_; }

private:
    std::uint64_t next()
    {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return state_ >> 33;
    }

    std::vector<std::byte> memory_;
    std::size_t used_ = 0;
    std::uint64_t state_;
};

Node node_of(
    Op op, const Tensor& result, std::initializer_list<Tensor> sources, std::initializer_list<std::uint32_t> parameters = {})
{
    Node node;
    node.op = op;
    node.result = result;
    for (const auto& source : sources)
        node.source[node.sources++] = source;
    std::copy(parameters.begin(), parameters.end(), node.parameters);
    return node;
}

/// Where two memories first differ, and how.
std::string difference(std::span<const std::byte> expected, std::span<const std::byte> found)
{
    const auto at = static_cast<std::size_t>(std::ranges::mismatch(expected, found).in1 - expected.begin()) / 4 * 4;
    std::uint32_t right = 0;
    std::uint32_t wrong = 0;
    std::memcpy(&right, expected.data() + at, sizeof right);
    std::memcpy(&wrong, found.data() + at, sizeof wrong);
    return fmt::format("byte {}: {:08x} in the place of {:08x}", at, wrong, right);
}

/// @return cuda.wrong_bits
Result<void> check(Card& card, Trial& trial, const Node& node)
{
    const auto& definition = kernels::portable_implementation();
    const Buffer before(trial.memory().begin(), trial.memory().end());
    const auto& x = node.source[1];
    const bool blocks = kernels::is_product_of_blocks(node);
    const auto activations = blocks ? kernels::activation_bytes(x.extent[0], x.extent[1] * x.extent[2]) : 0;
    const auto angles = node.op == Op::rope ? kernels::angle_bytes(node.parameters[0], node.result.extent[2]) : 0;
    std::vector<std::uint64_t> scratch(static_cast<std::size_t>(activations + angles) / 8 + 16);
    auto* const begin = reinterpret_cast<std::byte*>(scratch.data());
    auto outcome = definition.prepare(node, {}, {begin, begin, nullptr});
    if (outcome == kernels::Outcome::done)
        outcome = definition.run(node, {}, {begin, begin, nullptr});
    const Buffer expected(trial.memory().begin(), trial.memory().end());
    std::ranges::copy(before, trial.memory().begin());

    const Step step{&node, kernels::has_preparation(node)};
    TRY(const auto plan, card.plan({&step, 1}, activations, angles, trial.memory(), {}));
    TRY(const auto ran, card.run(*plan));
    std::string how;
    if (ran.outcome != outcome)
        how = fmt::format("outcome {} in the place of {}", static_cast<unsigned>(ran.outcome), static_cast<unsigned>(outcome));
    else if (outcome == kernels::Outcome::done && !std::ranges::equal(expected, trial.memory()))
        how = difference(expected, trial.memory());
    std::ranges::copy(before, trial.memory().begin());
    if (how.empty())
        return {};
    return fail(errors::wrong_bits,
        fmt::format("{} computes operation {} of format {} otherwise than the specification: {}", card.name(),
            static_cast<unsigned>(node.op), static_cast<unsigned>(node.source[0].type), how),
        "the card is not used");
}

std::uint32_t parameter(float x)
{
    return kernels::bits_of(x);
}

/// Every kernel, every format, and what has no kernel of its own.
class Test {
public:
    Test(Card& card, std::size_t errors_max)
        : card_(card)
        , errors_max_(errors_max)
    {
    }
    std::vector<Error> all()
    {
        for (const std::uint8_t mask : {std::uint8_t{0xbb}, std::uint8_t{0xff}}) {
            products(mask);
            rows(mask);
            movements(mask);
            attention(mask);
        }
        tall_products();
        return std::move(errors_);
    }

private:
    void expect(Trial& trial, const Node& node)
    {
        if (errors_.size() == errors_max_)
            return;
        if (auto checked = check(card_, trial, node); !checked)
            errors_.push_back(std::move(checked).error());
    }
    void products(std::uint8_t mask)
    {
        using enum Type;
        for (const auto type :
            {q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, mxfp4, f16, bf16, f32})
            for (const std::int64_t columns : {1, 3, 19}) {
                Trial trial(static_cast<std::uint64_t>(columns) + mask);
                const auto w = trial.tensor(type, mask, 1280, 21);
                const auto x = trial.tensor(f32, 0xbb, 1280, columns);
                expect(trial, node_of(Op::mul_mat, trial.tensor(f32, 0, 21, columns), {w, x}));
                expect(trial, node_of(Op::get_rows, trial.tensor(f32, 0, 1280, 3), {w, trial.indices(i32, 21, 3)}));
                const auto experts = trial.tensor(type, mask, 256, 5, 3);
                const auto each = trial.tensor(f32, 0xbb, 256, 1, columns);
                expect(trial,
                    node_of(
                        Op::mul_mat_id, trial.tensor(f32, 0, 5, 2, columns), {experts, each, trial.indices(i32, 3, 2, columns)}));
            }
    }
    /// Of so many rows that a warp takes two of them.
    void tall_products()
    {
        using enum Type;
        constexpr std::int64_t tall = 4113;
        for (const auto type : {q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, mxfp4}) {
            Trial trial(1, std::size_t{8} << 20);
            const auto w = trial.tensor(type, 0xbb, 1280, tall);
            const auto x = trial.tensor(f32, 0xbb, 1280);
            expect(trial, node_of(Op::mul_mat, trial.tensor(f32, 0, tall), {w, x}));
        }
    }
    void rows(std::uint8_t mask)
    {
        using enum Op;
        Trial trial(mask);
        const auto x = trial.tensor(Type::f32, mask, 96, 5);
        const auto y = trial.tensor(Type::f32, mask, 96, 5);
        const auto result = trial.tensor(Type::f32, 0, 96, 5);
        const auto wide = trial.tensor(Type::f32, mask, 5000, 2);
        for (const auto op : {rms_norm, norm, l2_norm}) {
            expect(trial, node_of(op, result, {x}, {parameter(1e-5F)}));
            expect(trial, node_of(op, trial.tensor(Type::f32, 0, 5000, 2), {wide}, {parameter(1e-5F)}));
        }
        for (const auto op : {silu, gelu, relu, tanh, sigmoid, neg, exp, sqr, sqrt, gelu_quick})
            expect(trial, node_of(op, result, {x}));
        for (const auto op : {add, sub, mul, div, swiglu, geglu, reglu, geglu_quick})
            expect(trial, node_of(op, result, {x, y}));
        expect(trial, node_of(scale, result, {x}, {parameter(0.3F), parameter(1.5F)}));
        expect(trial, node_of(clamp, result, {x}, {parameter(-0.5F), parameter(0.25F)}));
        expect(trial, node_of(swiglu_oai, result, {x, y}, {parameter(1.7F), parameter(7.0F)}));
        expect(trial, node_of(soft_max, result, {x}, {parameter(0.5F), 0}));
        expect(trial, node_of(soft_max, result, {x, trial.tensor(Type::f16, mask, 96, 5)}, {parameter(0.5F), parameter(8.0F)}));
        expect(trial, node_of(sum_rows, trial.tensor(Type::f32, 0, 1, 5), {x}));
        expect(trial, node_of(argsort, trial.tensor(Type::i32, 0, 96, 5), {x}, {1}));
        expect(trial, node_of(add_id, result, {x, trial.tensor(Type::f32, mask, 96, 4), trial.indices(Type::i32, 4, 5)}));
        expect(trial,
            node_of(rope, trial.tensor(Type::f32, 0, 64, 3, 4),
                {trial.tensor(Type::f32, mask, 64, 3, 4), trial.indices(Type::i32, 99, 4)},
                {64, 1, parameter(10000.0F), parameter(1.0F), parameter(1.0F)}));
    }
    void movements(std::uint8_t mask)
    {
        Trial trial(mask);
        const auto x = trial.tensor(Type::f32, mask, 96, 5);
        expect(trial, node_of(Op::copy, trial.tensor(Type::f16, 0, 60, 8), {x}));
        expect(trial, node_of(Op::concat, trial.tensor(Type::f32, 0, 96, 8), {x, trial.tensor(Type::f32, mask, 96, 3)}, {1}));
        expect(trial,
            node_of(Op::set_rows, trial.tensor(Type::f16, 0, 96, 9),
                {trial.tensor(Type::f32, mask, 96, 4), trial.indices(Type::i64, 9, 4)}));
    }
    void attention(std::uint8_t mask)
    {
        for (const std::int64_t cells : {64, 320})
            for (const std::int64_t queries : {2, mask == 0xbb && cells == 320 ? 67 : 1}) {
                Trial trial(mask);
                const auto q = trial.tensor(Type::f32, 0xbb, 64, queries, 4);
                const auto k = trial.tensor(Type::f16, 0xbb, 64, cells, 2);
                const auto v = trial.tensor(Type::f16, 0xbb, 64, cells, 2);
                const auto seen = trial.tensor(Type::f16, mask == 0xbb ? 0 : 0xff, cells, queries);
                expect(trial,
                    node_of(Op::flash_attention, trial.tensor(Type::f32, 0, 64, 4, queries), {q, k, v, seen},
                        {parameter(0.125F), 0, 0}));
            }
    }

    Card& card_;
    std::size_t errors_max_;
    std::vector<Error> errors_;
};

}  // namespace

std::vector<Error> differences(Card& card)
{
    return Test(card, SIZE_MAX).all();
}

Result<void> self_test(Card& card)
{
    auto found = Test(card, 1).all();
    return found.empty() ? Result<void>{} : std::unexpected(std::move(found.front()));
}

Result<std::unique_ptr<Device>> tested_card()
{
    TRY(auto device, nvidia_card());
    Card card(std::move(device));
    TRY_OK(self_test(card));
    return card.give_back();
}

}  // namespace altiplano::cuda
