#include "kernels/arithmetic.hpp"
#include "kernels/card/emulated.hpp"
#include "kernels/implementations.hpp"
#include "kernels/weights.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace altiplano::kernels {
namespace {

/// The machine's own, and a graphics card's.
std::vector<const Implementation*> all_implementations()
{
    auto all = implementations();
    all.push_back(&card::emulated_implementation());
    return all;
}

using Random = std::mt19937_64;

/// A tensor with memory of its own, rows as close as they can be.
struct Owned {
    std::vector<std::uint64_t> memory;
    Tensor tensor;

    Owned(Type type, std::int64_t e0, std::int64_t e1 = 1, std::int64_t e2 = 1, std::int64_t e3 = 1)
    {
        const auto format = format_of(type);
        const auto row = e0 / format.block_elements * format.block_bytes;
        memory.resize(static_cast<std::size_t>(row * e1 * e2 * e3) / 8 + 1);
        tensor = {reinterpret_cast<std::byte*>(memory.data()), {e0, e1, e2, e3},
            {format.block_bytes, row, row * e1, row * e1 * e2}, type};
    }
    /// The tensor, in the memory of this copy.
    Tensor here()
    {
        tensor.data = reinterpret_cast<std::byte*>(memory.data());
        return tensor;
    }
    std::size_t bytes() const { return static_cast<std::size_t>(tensor.stride[3] * tensor.extent[3]); }
};

/// What the values of a case are like.
enum class Weather { calm, wild, poisoned };

float value(Random& random, Weather weather)
{
    if (weather == Weather::calm)
        return std::uniform_real_distribution<float>(-3, 3)(random);
    switch (random() % 40) {
    case 0: return -0.0F;
    case 1: return float_of(static_cast<std::uint32_t>(random() % 0x7fffff));  // denormal
    case 2: return -0x1p-101F;
    case 3: return 3e4F;
    case 4: return float_of(static_cast<std::uint32_t>(random()) & 0x43ffffffU);
    default: return std::uniform_real_distribution<float>(-1, 1)(random);
    }
}

/// Where the F16 of a block lie.
std::vector<std::size_t> scales_of(Type type)
{
    switch (type) {
    case Type::q6_k: return {208};
    case Type::q3_k: return {108};
    case Type::q2_k: return {80, 82};
    case Type::mxfp4: return {};
    case Type::q4_1:
    case Type::q5_1:
    case Type::q4_k:
    case Type::q5_k: return {0, 2};
    default: return {0};
    }
}

void fill(Owned& owned, Random& random, Weather weather)
{
    auto& t = owned.tensor;
    auto* at = t.data;
    const auto bytes = owned.bytes();
    if (t.type == Type::f32) {
        for (std::size_t i = 0; i < bytes; i += 4)
            store_as(at + i, value(random, weather));
    } else if (t.type == Type::f16) {
        for (std::size_t i = 0; i < bytes; i += 2)
            store_as(at + i, f32_to_f16(value(random, weather)));
    } else if (t.type == Type::bf16) {
        for (std::size_t i = 0; i < bytes; i += 2)
            store_as(at + i, static_cast<std::uint16_t>(bits_of(value(random, weather)) >> 16));
    } else {
        for (std::size_t i = 0; i < bytes; ++i)
            at[i] = static_cast<std::byte>(random());
        // Any bits are codes, but most bits make a wild scale.
        const auto format = format_of(t.type);
        const auto scale = [&] { return f32_to_f16(value(random, weather) * 0.01F); };
        for (std::size_t block = 0; block < bytes; block += static_cast<std::size_t>(format.block_bytes)) {
            for (const auto where : scales_of(t.type))
                store_as(at + block + where, scale());
            if (t.type == Type::mxfp4)
                at[block] = static_cast<std::byte>(weather == Weather::calm ? 115 + random() % 16 : random());
        }
    }
    if (weather != Weather::poisoned || bytes < 8)
        return;
    constexpr std::uint32_t poison[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0x7f7fffff};
    const auto where = random() % bytes;
    if (t.type == Type::f32)
        store_as(at + where / 4 * 4, poison[random() % 6]);
    else if (t.type == Type::f16)
        store_as(at + where / 2 * 2, static_cast<std::uint16_t>(random() % 2 != 0 ? 0x7c00 : 0xfe01));
    else if (t.type == Type::bf16)
        store_as(at + where / 2 * 2, static_cast<std::uint16_t>(poison[random() % 6] >> 16));
    else
        at[where] = static_cast<std::byte>(0xff);
}

/// A node and what it works on.
struct Case {
    Node node;
    std::vector<Owned> tensors;

    Case(Op op, std::vector<Owned> sources, Owned result, std::vector<std::uint32_t> parameters = {})
        : tensors(std::move(sources))
    {
        node.op = op;
        node.sources = static_cast<unsigned>(tensors.size());
        for (unsigned i = 0; i < node.sources; ++i)
            node.source[i] = tensors[i].here();
        std::ranges::copy(parameters, node.parameters);
        tensors.push_back(std::move(result));
        node.result = tensors.back().here();
    }
    Owned& result() { return tensors.back(); }
};

struct Answer {
    Outcome outcome = Outcome::done;
    std::vector<std::uint64_t> bits;
    bool operator==(const Answer&) const = default;
};
void PrintTo(const Answer& answer, std::ostream* out)
{
    *out << "outcome " << static_cast<int>(answer.outcome) << ", " << answer.bits.size() << " words";
}

Outcome worst(Outcome a, Outcome b)
{
    return static_cast<Outcome>(std::max(static_cast<int>(a), static_cast<int>(b)));
}

/// The bits of the result; after a failure they mean nothing.
Answer answer(Case& test, const Implementation& implementation, unsigned shares = 1)
{
    std::ranges::fill(test.result().memory, 0x0123456789abcdefULL);
    const auto& node = test.node;
    const auto k = node.source[0].extent[0];
    const auto columns = node.sources > 1 ? rows_of(node.source[1]) : 0;
    const auto aligned = [](std::vector<std::byte>& v) {
        return v.data() + (64 - reinterpret_cast<std::uintptr_t>(v.data()) % 64) % 64;
    };
    std::vector<std::byte> activations(static_cast<std::size_t>(activation_bytes(k, columns)) + 64);
    std::vector<std::byte> angles(static_cast<std::size_t>(angle_bytes(k, node.result.extent[2])) + 64);
    std::vector<std::byte> panel(static_cast<std::size_t>(panel_bytes(k)) + 64);
    const Scratch scratch{aligned(activations), aligned(angles), aligned(panel)};
    auto outcome = Outcome::done;
    for (unsigned s = 0; s < shares && has_preparation(node); ++s)
        outcome = worst(outcome, implementation.prepare(node, {s, shares}, scratch));
    for (unsigned s = 0; s < shares && outcome == Outcome::done; ++s)
        outcome = worst(outcome, implementation.run(node, {s, shares}, scratch));
    return {outcome, outcome == Outcome::done ? test.result().memory : std::vector<std::uint64_t>{}};
}

std::uint32_t parameter(float x)
{
    return bits_of(x);
}

/// Cases of every operation with every format, sizes with and without rests.
std::vector<Case> cases(Random& random, Weather weather)
{
    std::vector<Case> all;
    const auto of = [&](Type type, std::int64_t e0, std::int64_t e1 = 1, std::int64_t e2 = 1, std::int64_t e3 = 1) {
        Owned owned(type, e0, e1, e2, e3);
        fill(owned, random, weather);
        return owned;
    };
    const auto sources = [](auto... some) {
        std::vector<Owned> list;
        (list.push_back(std::move(some)), ...);
        return list;
    };
    using enum Type;
    for (const auto type : {q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, mxfp4, f16, bf16, f32}) {
        const auto k = is_quantised(type) ? 256 * (1 + static_cast<std::int64_t>(random() % 3))
                                          : 1 + static_cast<std::int64_t>(random() % 200);
        for (const std::int64_t rows : {5, 16, 53})
            for (const std::int64_t columns : {1, 3, 11, 26})
                all.emplace_back(Op::mul_mat, sources(of(type, k, rows), of(f32, k, columns)), Owned(f32, rows, columns));
        const auto chosen = [&](std::int64_t used, std::int64_t tokens, std::int64_t experts) {
            Owned ids(i32, used, tokens);
            for (std::int64_t i = 0; i < used * tokens; ++i)
                store_as(ids.tensor.data + 4 * i, static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(experts)));
            return ids;
        };
        for (const std::int64_t rows : {5, 37}) {
            all.emplace_back(
                Op::mul_mat_id, sources(of(type, k, rows, 4), of(f32, k, 1, 3), chosen(2, 3, 4)), Owned(f32, rows, 2, 3));
            all.emplace_back(
                Op::mul_mat_id, sources(of(type, k, rows, 5), of(f32, k, 2, 3), chosen(2, 3, 5)), Owned(f32, rows, 2, 3));
        }
        Owned indices(i32, 4);
        for (int i = 0; i < 4; ++i)
            store_as(indices.tensor.data + 4 * i, static_cast<std::int32_t>(random() % 7));
        all.emplace_back(Op::get_rows, sources(of(type, k, 7), indices), Owned(f32, k, 4));
    }
    all.emplace_back(Op::mul_mat, sources(of(f16, 70, 9, 2, 1), of(f32, 70, 5, 4, 3)), Owned(f32, 9, 5, 4, 3));
    for (const std::int64_t n : {1, 15, 64, 83}) {
        for (const auto op : {Op::rms_norm, Op::norm})
            all.emplace_back(op, sources(of(f32, n, 3, 2)), Owned(f32, n, 3, 2), std::vector{parameter(1e-5F)});
        for (const auto op : {Op::silu, Op::gelu, Op::relu, Op::tanh, Op::sigmoid, Op::neg, Op::exp, Op::sqr, Op::gelu_quick})
            all.emplace_back(op, sources(of(f32, n, 3)), Owned(f32, n, 3));
        for (const auto op : {Op::add, Op::sub, Op::mul, Op::div, Op::swiglu, Op::geglu, Op::reglu})
            all.emplace_back(op, sources(of(f32, n, 4), of(f32, n, random() % 2 != 0 ? 4 : 1)), Owned(f32, n, 4));
        Owned squares = of(f32, n, 3);
        for (std::int64_t i = 0; i < 3 * n; ++i) {
            const auto x = load_as<float>(squares.tensor.data + 4 * i);
            store_as(squares.tensor.data + 4 * i, x < 0 ? 0.0F - x : x);
        }
        all.emplace_back(Op::sqrt, sources(squares), Owned(f32, n, 3));
        all.emplace_back(Op::l2_norm, sources(of(f32, n, 3, 2)), Owned(f32, n, 3, 2), std::vector{parameter(1e-6F)});
        all.emplace_back(Op::clamp, sources(of(f32, n, 3)), Owned(f32, n, 3), std::vector{parameter(-0.5F), 0x7f800000U});
        all.emplace_back(Op::geglu_quick, sources(of(f32, n, 4), of(f32, n, 4)), Owned(f32, n, 4));
        all.emplace_back(Op::swiglu_oai, sources(of(f32, n, 4), of(f32, n, 4)), Owned(f32, n, 4),
            std::vector{parameter(1.702F), parameter(1.5F)});
        all.emplace_back(Op::sum_rows, sources(of(f32, n, 4, 2)), Owned(f32, 1, 4, 2));
        all.emplace_back(Op::argsort, sources(of(f32, n, 4)), Owned(i32, n, 4), std::vector{static_cast<std::uint32_t>(n % 2)});
        all.emplace_back(Op::concat, sources(of(f32, n, 4), of(f32, 7, 4)), Owned(f32, n + 7, 4), std::vector{0U});
        all.emplace_back(Op::concat, sources(of(f32, n, 4, 2), of(f32, n, 4, 3)), Owned(f32, n, 4, 5), std::vector{2U});
        all.emplace_back(Op::soft_max, sources(of(f32, n, 4)), Owned(f32, n, 4), std::vector{parameter(0.5F), 0U});
        all.emplace_back(Op::soft_max, sources(of(f32, n, 4, 6), of(f16, n, 5)), Owned(f32, n, 4, 6),
            std::vector{parameter(0.5F), parameter(8.0F)});
        Owned which(i32, 2, 3);
        for (int i = 0; i < 6; ++i)
            store_as(which.tensor.data + 4 * i, static_cast<std::int32_t>(random() % 5));
        all.emplace_back(Op::add_id, sources(of(f32, n, 2, 3), of(f32, n, 5), which), Owned(f32, n, 2, 3));
        all.emplace_back(Op::mul, sources(of(f32, n, 4), of(f32, 1, 1)), Owned(f32, n, 4));
        all.emplace_back(Op::scale, sources(of(f32, n, 3)), Owned(f32, n, 3), std::vector{parameter(0.3F), parameter(-1.5F)});
        all.emplace_back(Op::copy, sources(of(f32, n, 3, 2)), Owned(f16, 3, n, 2));
        Owned where(i64, 3);
        for (int i = 0; i < 3; ++i)
            store_as(where.tensor.data + 8 * i, static_cast<std::int64_t>(random() % 6));
        all.emplace_back(Op::set_rows, sources(of(f32, n, 3), where), Owned(f16, n, 6));
    }
    for (const std::uint32_t halves : {0U, 1U}) {
        Owned positions(i32, 3);
        for (int i = 0; i < 3; ++i)
            store_as(positions.tensor.data + 4 * i, static_cast<std::int32_t>(random() % 9000));
        all.emplace_back(Op::rope, sources(of(f32, 48, 2, 3), positions), Owned(f32, 48, 2, 3),
            std::vector{32U, halves, parameter(10000.0F), parameter(1.0F), parameter(1.0F)});
        all.emplace_back(Op::rope, sources(of(f32, 48, 2, 3), positions), Owned(f32, 48, 2, 3),
            std::vector{48U, halves, parameter(10000.0F), parameter(0.25F), parameter(1.1F), parameter(1.0F), parameter(4.0F),
                parameter(17.0F)});
    }
    for (const std::int64_t width : {16, 64, 80})
        for (const std::int64_t cells : {16, 272, 600}) {
            const std::int64_t queries = 1 + static_cast<std::int64_t>(random() % 20);
            Owned mask(f16, cells, queries);
            for (std::int64_t t = 0; t < queries; ++t)
                for (std::int64_t c = 0; c < cells; ++c)
                    store_as(mask.tensor.data + 2 * (t * cells + c),
                        static_cast<std::uint16_t>(random() % 4 == 0 || (c >= 256 && c < 512 && t % 2 == 0) ? 0xfc00
                                : random() % 9 == 0                                                         ? 0xb800
                                                                                                            : 0));
            all.emplace_back(Op::flash_attention,
                sources(of(f32, width, queries, 6), of(f16, width, cells, 2), of(f16, width, cells, 2), mask),
                Owned(f32, width, 6, queries), std::vector{parameter(0.125F), parameter(cells == 16 ? 30.0F : 0.0F)});
            all.emplace_back(Op::flash_attention,
                sources(of(f32, width, queries, 6), of(f16, width, cells, 2), of(f16, width, cells, 2), mask, of(f32, 6)),
                Owned(f32, width, 6, queries), std::vector{parameter(0.125F), 0U, parameter(cells == 272 ? 8.0F : 0.0F)});
        }
    return all;
}

void expect_all_equal(Weather weather, std::uint64_t seed, int* failures = nullptr)
{
    Random random(seed);
    for (auto& test : cases(random, weather)) {
        const auto expected = answer(test, portable_implementation());
        if (failures != nullptr && expected.outcome != Outcome::done)
            ++*failures;
        if (weather == Weather::calm) {
            EXPECT_EQ(expected.outcome, Outcome::done) << static_cast<int>(test.node.op);
        }
        for (const auto* implementation : all_implementations())
            EXPECT_EQ(answer(test, *implementation), expected)
                << implementation->name << ", operation " << static_cast<int>(test.node.op) << ", format "
                << static_cast<int>(test.node.source[0].type) << ", extents " << test.node.source[0].extent[0] << " "
                << test.node.source[0].extent[1] << ", columns " << test.node.source[1].extent[1] << ", seed " << seed;
    }
}

TEST(Kernels, are_equal_on_every_instruction_set)
{
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
        expect_all_equal(Weather::calm, seed);
}

TEST(Kernels, are_equal_on_minus_zero_denormals_and_extremes)
{
    for (std::uint64_t seed = 1; seed <= 5; ++seed)
        expect_all_equal(Weather::wild, seed);
}

TEST(Kernels, fail_alike_on_what_is_not_finite)
{
    int failures = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed)
        expect_all_equal(Weather::poisoned, seed, &failures);
    EXPECT_GT(failures, 100);
}

TEST(Kernels, are_equal_however_many_share_the_work)
{
    Random random(7);
    for (auto& test : cases(random, Weather::calm))
        for (const auto* implementation : all_implementations()) {
            const auto alone = answer(test, *implementation);
            EXPECT_EQ(answer(test, *implementation, 2), alone) << implementation->name;
            EXPECT_EQ(answer(test, *implementation, 3), alone) << implementation->name;
            EXPECT_EQ(answer(test, *implementation, 40), alone) << implementation->name;
        }
}

TEST(Kernels, give_a_column_the_same_bits_alone_and_among_others)
{
    Random random(11);
    Owned weights(Type::q4_1, 1024, 48);
    Owned x(Type::f32, 1024, 37);
    fill(weights, random, Weather::calm);
    fill(x, random, Weather::calm);
    for (const auto* implementation : all_implementations()) {
        Case together(Op::mul_mat, {weights, x}, Owned(Type::f32, 48, 37));
        ASSERT_EQ(answer(together, *implementation).outcome, Outcome::done);
        for (const std::int64_t column : {0, 17, 36}) {
            Owned one(Type::f32, 1024);
            std::memcpy(one.tensor.data, x.tensor.data + column * 4096, 4096);
            Case alone(Op::mul_mat, {weights, one}, Owned(Type::f32, 48));
            ASSERT_EQ(answer(alone, *implementation).outcome, Outcome::done);
            EXPECT_EQ(std::memcmp(alone.node.result.data, together.node.result.data + column * 192, 192), 0)
                << implementation->name;
        }
    }
}

TEST(Kernels, refuse_an_index_outside_the_table)
{
    for (const std::int32_t index : {-1, 7}) {
        Owned indices(Type::i32, 1);
        store_as(indices.tensor.data, index);
        for (const auto* implementation : all_implementations()) {
            Case get(Op::get_rows, {Owned(Type::f32, 16, 7), indices}, Owned(Type::f32, 16));
            EXPECT_EQ(answer(get, *implementation).outcome, Outcome::bad_index);
            Case set(Op::set_rows, {Owned(Type::f32, 16), indices}, Owned(Type::f16, 16, 7));
            EXPECT_EQ(answer(set, *implementation).outcome, Outcome::bad_index);
        }
    }
}

/// Functions of one element, over bit patterns of the whole range.
TEST(Kernels, have_the_functions_of_the_contract)
{
    constexpr std::uint64_t stride = 40009;
    std::vector<float> inputs;
    for (std::uint64_t bits = 0; bits < (1ULL << 32); bits += stride)
        if (const auto x = float_of(static_cast<std::uint32_t>(bits)); is_finite(x) && std::fabs(x) < 1e12F)
            inputs.push_back(x);
    const auto n = static_cast<std::int64_t>(inputs.size());
    for (const auto op : {Op::silu, Op::gelu, Op::relu, Op::tanh, Op::sigmoid, Op::exp, Op::gelu_quick}) {
        Owned x(Type::f32, n);
        std::memcpy(x.tensor.data, inputs.data(), inputs.size() * 4);
        Case test(op, {x}, Owned(Type::f32, n));
        const auto expected = answer(test, portable_implementation());
        ASSERT_EQ(expected.outcome, Outcome::done);
        for (const auto* implementation : all_implementations())
            EXPECT_EQ(answer(test, *implementation), expected) << implementation->name << " " << static_cast<int>(op);
    }
}

TEST(Arithmetic, is_close_to_the_true_functions)
{
    for (float x = -80; x < 80; x += 0.37F)
        EXPECT_NEAR(exp_of(x) / std::exp(static_cast<double>(x)), 1, 3e-7) << x;
    EXPECT_EQ(exp_of(0), 1);
    EXPECT_EQ(exp_of(-88), 0);
    for (float x = -9; x < 9; x += 0.11F) {
        EXPECT_NEAR(tanh_of(x), std::tanh(x), 3e-7) << x;
        EXPECT_NEAR(silu_of(x), x / (1 + std::exp(-x)), 2e-6) << x;
    }
}

TEST(Arithmetic, rounds_to_f16_as_ieee_says)
{
    EXPECT_EQ(f32_to_f16(65504.0F), 0x7bff);
    EXPECT_EQ(f32_to_f16(65519.9F), 0x7bff);
    EXPECT_EQ(f32_to_f16(65520.0F), 0x7c00);
    EXPECT_EQ(f32_to_f16(0x1p-24F), 1);
    EXPECT_EQ(f32_to_f16(0x1p-25F), 0);
    EXPECT_EQ(f32_to_f16(-0.0F), 0x8000);
    for (std::uint32_t h = 0; h < 0x10000; ++h)
        if ((h & 0x7c00U) != 0x7c00U) {
            EXPECT_EQ(f32_to_f16(f16_to_f32(static_cast<std::uint16_t>(h))), h);
        }
}

}  // namespace
}  // namespace altiplano::kernels
