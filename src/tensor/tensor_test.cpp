#include "kernels/arithmetic.hpp"
#include "tensor/crew.hpp"
#include "tensor/errors.hpp"
#include "tensor/extension.hpp"
#include "tensor/reference.hpp"
#include "tensor/sentences.hpp"
#include "tensor/test_memory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace altiplano::tensor {
namespace {

using kernels::Op;
using kernels::Type;

constexpr auto memory_bytes = test_memory_bytes;

NodeRecord product()
{
    return node(
        Op::mul_mat, plain(0x8000, Type::f32, 16, 3), {plain(0x1000, Type::q4_1, 64, 16), plain(0x4000, Type::f32, 64, 3)});
}

Problem verdict(const NodeRecord& record)
{
    Checker checker(nullptr, memory_bytes, {0xf0000, 0xf1000}, {0xf1000, 0xf8000});
    Step step;
    return checker.next(record, step);
}

TEST(Checker, takes_what_the_specification_has)
{
    EXPECT_EQ(verdict(product()), Problem::none);
    EXPECT_EQ(verdict(node(Op::add, plain(64, Type::f32, 7, 3), {plain(64, Type::f32, 7, 3), plain(4096, Type::f32, 7)})),
        Problem::none);
}

/// Every field of a record that is made wrong is noticed, and named.
TEST(Checker, refuses_each_thing_that_is_wrong)
{
    const auto with = [](auto change) {
        auto record = product();
        change(record);
        return verdict(record);
    };
    EXPECT_EQ(with([](auto& r) { r.op = 0; }), Problem::unknown_operation);
    EXPECT_EQ(with([](auto& r) { r.op = 99; }), Problem::unknown_operation);
    EXPECT_EQ(with([](auto& r) { r.sources = 1; }), Problem::wrong_sources);
    EXPECT_EQ(with([](auto& r) { r.sources = 0xffffffff; }), Problem::wrong_sources);
    EXPECT_EQ(with([](auto& r) { r.source[0].type = 16; }), Problem::unsupported_format);  // Q2_K
    EXPECT_EQ(with([](auto& r) { r.result = plain(0x8000, Type::f16, 16, 3); }), Problem::unsupported_format);
    EXPECT_EQ(with([](auto& r) { r.source[0].extent[0] = 65; }), Problem::bad_shape);
    EXPECT_EQ(with([](auto& r) { r.source[1].extent[2] = 0; }), Problem::bad_shape);
    EXPECT_EQ(with([](auto& r) { r.source[1].extent[3] = std::uint64_t{1} << 40; }), Problem::bad_shape);
    EXPECT_EQ(with([](auto& r) { r.result.extent[0] = 15; }), Problem::bad_shape);
    EXPECT_EQ(with([](auto& r) { r.source[1].stride[0] = 8; }), Problem::bad_stride);
    EXPECT_EQ(with([](auto& r) { r.result.stride[1] = 60; }), Problem::bad_stride);
    EXPECT_EQ(with([](auto& r) { r.source[1].stride[1] = 0; }), Problem::bad_stride);
    EXPECT_EQ(with([](auto& r) { r.result.address = 0x8002; }), Problem::bad_stride);
    EXPECT_EQ(with([](auto& r) { r.source[0].address = memory_bytes - 8; }), Problem::outside_memory);
    EXPECT_EQ(with([](auto& r) { r.source[0].address = ~std::uint64_t{0} - 8; }), Problem::outside_memory);
    EXPECT_EQ(with([](auto& r) { r.source[0].stride[1] = ~std::uint64_t{0} / 4; }), Problem::outside_memory);
    EXPECT_EQ(with([](auto& r) { r.result.stride[1] = std::uint64_t{1} << 63; }), Problem::outside_memory);
    EXPECT_EQ(with([](auto& r) { r.result.address = 0x4000; }), Problem::overlap);
    EXPECT_EQ(with([](auto& r) { r.result.address = 0xf0100; }), Problem::overlap);
    EXPECT_EQ(with([](auto& r) { r.source[0].address = 0xf1100; }), Problem::overlap);
    EXPECT_EQ(
        verdict(node(Op::add, plain(68, Type::f32, 7), {plain(64, Type::f32, 7), plain(4096, Type::f32, 7)})), Problem::overlap);
    EXPECT_EQ(
        verdict(node(Op::rms_norm, plain(64, Type::f32, 7), {plain(4096, Type::f32, 7)}, {0x7fc00000})), Problem::bad_parameter);
    EXPECT_EQ(
        verdict(node(Op::rms_norm, plain(64, Type::f32, 7), {plain(4096, Type::f32, 7)}, {0xbf800000})), Problem::bad_parameter);
}

TEST(Checker, bounds_what_one_operation_may_need)
{
    // Many columns over few bytes would be cheap to ask for and dear to keep.
    auto record = product();
    Checker checker(nullptr, std::uint64_t{1} << 34, {}, {});
    Step step;
    record.source[1] = plain(0, Type::f32, 64, std::uint64_t{1} << 22);
    record.result = plain(std::uint64_t{1} << 31, Type::f32, 16, std::uint64_t{1} << 22);
    EXPECT_EQ(checker.next(record, step), Problem::too_large);
}

TEST(Checker, prepares_once_for_products_of_the_same_activations)
{
    Checker checker(nullptr, memory_bytes, {}, {});
    Step step;
    auto second = product();
    second.result.address = 0x9000;
    auto between = node(Op::relu, plain(0x4000, Type::f32, 64, 3), {plain(0x4000, Type::f32, 64, 3)});
    ASSERT_EQ(checker.next(product(), step), Problem::none);
    EXPECT_TRUE(step.prepare);
    ASSERT_EQ(checker.next(second, step), Problem::none);
    EXPECT_FALSE(step.prepare);
    ASSERT_EQ(checker.next(between, step), Problem::none);
    ASSERT_EQ(checker.next(second, step), Problem::none);
    EXPECT_TRUE(step.prepare);
}

TEST(Checker, lets_no_random_record_reach_outside_memory)
{
    std::mt19937_64 random(5);
    constexpr std::uint64_t wild[] = {
        0, 1, 4, 16, 64, 0xfffff, memory_bytes, std::uint64_t{1} << 31, std::uint64_t{1} << 63, ~std::uint64_t{0}};
    int taken = 0;
    for (int i = 0; i < 200'000; ++i) {
        auto record = product();
        record.op = static_cast<std::uint32_t>(1 + random() % 21);
        record.sources = static_cast<std::uint32_t>(1 + random() % 4);
        for (unsigned s = 2; s < 5; ++s)
            record.source[s] = record.source[1];
        for (int changes = static_cast<int>(random() % 3); changes >= 0; --changes) {
            auto& tensor = random() % 3 == 0 ? record.result : record.source[random() % 4];
            const auto value = random() % 2 == 0 ? wild[random() % std::size(wild)] : random() % 128;
            switch (random() % 4) {
            case 0: tensor.address = value; break;
            case 1: tensor.extent[random() % 4] = value; break;
            case 2: tensor.stride[random() % 4] = value; break;
            default: tensor.type = static_cast<std::uint32_t>(random() % 31);
            }
        }
        Checker checker(nullptr, memory_bytes, {0xf0000, 0xf1000}, {0xf1000, 0xf8000});
        Step step;
        if (checker.next(record, step) != Problem::none)
            continue;
        ++taken;
        for (unsigned s = 0; s <= step.node.sources; ++s) {
            const auto& t = s == step.node.sources ? step.node.result : step.node.source[s];
            const auto format = kernels::format_of(t.type);
            auto last = reinterpret_cast<std::uintptr_t>(t.data) + static_cast<std::uint64_t>(format.block_bytes);
            last += static_cast<std::uint64_t>((t.extent[0] / format.block_elements - 1) * t.stride[0]);
            for (int d = 1; d < 4; ++d)
                last += static_cast<std::uint64_t>((t.extent[d] - 1) * t.stride[d]);
            ASSERT_LE(last, memory_bytes);
        }
    }
    EXPECT_GT(taken, 300);
}

TEST(Tensor, computes_in_the_memory_of_the_guest)
{
    Memory memory;
    memory.put(64, std::vector<float>{1, 2, 3});
    memory.put(128, std::vector<float>{10, 20, 30});
    const auto a = plain(64, Type::f32, 3);
    const auto answer = memory.compute(*extension(),
        {node(Op::add, plain(256, Type::f32, 3), {a, plain(128, Type::f32, 3)}),
            node(Op::scale, plain(256, Type::f32, 3), {plain(256, Type::f32, 3)},
                {kernels::bits_of(2.0F), kernels::bits_of(1.0F)})});
    EXPECT_EQ(fault(answer), "none");
    EXPECT_EQ(memory.get<float>(256, 3), (std::vector<float>{23, 45, 67}));
}

TEST(Tensor, costs_what_the_formula_says)
{
    Memory memory;
    ASSERT_EQ(fault(memory.compute(*extension(), {product()})), "none");
    EXPECT_EQ(1'000'000'000 - memory.gas, 500U + (64U * 16U * 3U + 8U * 64U * 3U) / 16U);
}

TEST(Tensor, computes_nothing_of_a_graph_with_one_bad_node)
{
    Memory memory;
    memory.put(64, std::vector<float>{1, 2, 3});
    const auto good = node(Op::relu, plain(256, Type::f32, 3), {plain(64, Type::f32, 3)});
    auto bad = good;
    bad.op = 77;
    const auto before = memory.words;
    const auto answer = memory.compute(*extension(), {good, bad});
    ASSERT_FALSE(answer);
    const auto& found = std::get<vm::GuestFault>(answer.error());
    EXPECT_EQ(found.code, errors::trap_unsupported);
    EXPECT_EQ(found.sentence, "node 1 of the graph, operation number 77: the operation is outside the specification");
    EXPECT_EQ(memory.get<float>(256, 3), (std::vector<float>{0, 0, 0}));
    EXPECT_EQ(memory.gas, 1'000'000'000U);
}

TEST(Tensor, names_what_stops_it)
{
    const auto tensor = extension();
    Memory memory;
    memory.put(64, std::vector<float>{1, -1, 3});
    const auto x = plain(64, Type::f32, 3);
    EXPECT_EQ(fault(memory.compute(*tensor, {node(Op::div, plain(256, Type::f32, 3), {x, plain(512, Type::f32, 3)})})),
        errors::trap_not_finite);
    memory.put(640, std::vector<std::int32_t>{3});
    EXPECT_EQ(fault(memory.compute(*tensor,
                  {node(Op::get_rows, plain(256, Type::f32, 1), {plain(64, Type::f32, 1, 3), plain(640, Type::i32, 1)})})),
        errors::trap_bad_index);
    const vm::Value short_scratch[] = {0xa0000, 8 + sizeof(NodeRecord), 0xb0000, 100};
    EXPECT_EQ(fault(tensor->call(memory, 0, short_scratch)), errors::trap_bad_graph);
    const vm::Value outside[] = {memory_bytes, 8, 0xb0000, 0x50000};
    EXPECT_EQ(fault(tensor->call(memory, 0, outside)), "trap.out_of_bounds");
    memory.gas = 10;
    EXPECT_EQ(fault(memory.compute(*tensor, {product()})), "trap.out_of_gas");
}

TEST(Tensor, looks_again_at_a_graph_that_changed_by_one_byte)
{
    const auto tensor = extension();
    Memory memory;
    ASSERT_EQ(fault(memory.compute(*tensor, {product()})), "none");
    ASSERT_EQ(fault(memory.compute(*tensor, {product()})), "none");
    auto other = product();
    other.result.address += 1;
    EXPECT_EQ(fault(memory.compute(*tensor, {other})), errors::trap_bad_graph);
    // And asks each time whether results may be written.
    memory.read_only_begin = 0x8000;
    memory.read_only_end = 0x9000;
    EXPECT_EQ(fault(memory.compute(*tensor, {product()})), "trap.read_only");
}

TEST(Tensor, refuses_a_scratch_over_its_own_graph)
{
    Memory memory;
    ASSERT_EQ(fault(memory.compute(*extension(), {product()})), "none");
    const vm::Value over[] = {graph_at, sizeof(GraphRecord) + sizeof(NodeRecord), graph_at - 64, scratch_bytes};
    EXPECT_EQ(fault(extension()->call(memory, 0, over)), errors::trap_bad_graph);
}

TEST(Tensor, writes_over_no_mapped_item)
{
    Memory memory;
    memory.read_only_begin = 0x8000;
    memory.read_only_end = 0x9000;
    EXPECT_EQ(fault(memory.compute(*extension(), {product()})), "trap.read_only");
}

TEST(Tensor, has_the_same_bits_on_any_number_of_threads)
{
    std::mt19937_64 random(3);
    std::vector<float> x(64 * 3);
    for (auto& one : x)
        one = std::uniform_real_distribution<float>(-1, 1)(random);
    std::vector<std::uint16_t> weights(20 * 2 * 16 / 2);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] = i % 10 < 2 ? 0x2c00 : static_cast<std::uint16_t>(random());
    auto second = node(Op::rms_norm, plain(0x9000, Type::f32, 16, 3), {plain(0x8000, Type::f32, 16, 3)}, {0});
    std::vector<float> first;
    for (const unsigned threads : {1U, 2U, 3U})
        for (const auto* implementation : kernels::implementations()) {
            Memory memory;
            memory.put(0x1000, weights);
            memory.put(0x4000, x);
            const auto tensor = extension({.implementation = implementation->name, .threads = threads});
            for (int again = 0; again < 3; ++again)
                ASSERT_EQ(fault(memory.compute(*tensor, {product(), second})), "none");
            const auto result = memory.get<float>(0x9000, 48);
            if (first.empty())
                first = result;
            EXPECT_EQ(result, first) << threads << " " << implementation->name;
        }
}

TEST(Tensor, gives_the_same_bits_while_the_number_of_its_threads_changes)
{
    std::vector<float> x(512);
    std::mt19937 random(8);
    for (auto& one : x)
        one = std::uniform_real_distribution<float>(-1, 1)(random);
    const auto now = std::make_shared<std::atomic<std::uint32_t>>(1);
    const auto tensor = extension({.threads = 3, .threads_now = now});
    std::vector<float> first;
    for (const unsigned threads : {1U, 3U, 2U, 0U, 100U, 1U}) {
        *now = threads;
        Memory memory;
        memory.put(0x8000, x);
        ASSERT_EQ(fault(memory.compute(
                      *tensor, {node(Op::rms_norm, plain(0x9000, Type::f32, 16, 32), {plain(0x8000, Type::f32, 16, 32)}, {0})})),
            "none");
        const auto result = memory.get<float>(0x9000, x.size());
        if (first.empty())
            first = result;
        EXPECT_EQ(result, first) << threads;
    }
}

}  // namespace
}  // namespace altiplano::tensor
