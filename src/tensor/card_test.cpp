#include "cuda/emulated.hpp"
#include "tensor/errors.hpp"
#include "tensor/extension.hpp"
#include "tensor/test_memory.hpp"

#include <gtest/gtest.h>

/// Graphs on a graphics card, an emulated one: the same bits, only what changed goes there, and what breaks loses nothing.
namespace altiplano::tensor {
namespace {

using kernels::Op;
using kernels::Type;

struct OnCard {
    cuda::EmulatedDevice* device = new cuda::EmulatedDevice;
    std::shared_ptr<vm::Extension> tensor = extension_on(std::make_shared<cuda::Card>(std::unique_ptr<cuda::Device>(device)));
};

/// Memory of which one range shows an item.
class Mapping final : public Memory {
public:
    std::vector<Mapped> mapped() const override { return {{0x1000, 0x1000, ItemId{}, 0}}; }
};

NodeRecord product()
{
    return node(
        Op::mul_mat, plain(0x8000, Type::f32, 16, 3), {plain(0x1000, Type::q4_1, 64, 16), plain(0x4000, Type::f32, 64, 3)});
}
NodeRecord half_of_it()
{
    return node(Op::scale, plain(0x9000, Type::f32, 16, 3), {plain(0x8000, Type::f32, 16, 3)}, {0x3f000000, 0});
}

template <class M> void fill(M& memory, float first)
{
    std::vector<float> x(64 * 3);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = first + static_cast<float>(i) / 64;
    memory.put(0x4000, x);
    std::vector<std::uint16_t> weights(20 * 2 * 16 / 2);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] = i % 10 < 2 ? 0x2c00 : static_cast<std::uint16_t>(i * 2654435761U);
    memory.put(0x1000, weights);
}

/// One memory for the processor, one for the card.
struct Twins {
    Memory here, there;
    explicit Twins(float first = 1) { fill(first); }
    void fill(float first)
    {
        tensor::fill(here, first);
        tensor::fill(there, first);
    }
    template <class T> void put(std::uint64_t address, const std::vector<T>& values)
    {
        here.put(address, values);
        there.put(address, values);
    }
    /// Both do, and are equal afterwards.
    void compute(vm::Extension& card, const std::vector<NodeRecord>& nodes)
    {
        EXPECT_EQ(fault(here.compute(*extension(), nodes)), "none");
        EXPECT_EQ(fault(there.compute(card, nodes)), "none");
        EXPECT_TRUE(here.words == there.words);
        EXPECT_EQ(here.gas, there.gas);
    }
};

TEST(OnCard, gives_the_memory_that_the_processor_gives)
{
    const OnCard card;
    Twins twins;
    for (const float first : {0.5F, 0.5F, -3.0F}) {
        SCOPED_TRACE(first);
        twins.fill(first);
        twins.compute(*card.tensor, {product(), half_of_it()});
    }
}

TEST(OnCard, sends_again_only_what_changed)
{
    const OnCard card;
    Memory memory;
    fill(memory, 1);
    ASSERT_EQ(fault(memory.compute(*card.tensor, {product()})), "none");
    const std::uint64_t once = card.device->uploaded;
    ASSERT_EQ(fault(memory.compute(*card.tensor, {product()})), "none");
    EXPECT_EQ(card.device->uploaded, once);
    memory.put(0x4000, std::vector{2.0F});
    ASSERT_EQ(fault(memory.compute(*card.tensor, {product()})), "none");
    EXPECT_GT(card.device->uploaded, once);
    EXPECT_LE(card.device->uploaded, once + 4096);
}

TEST(OnCard, keeps_what_shows_an_item)
{
    const OnCard card;
    Mapping first;
    fill(first, 1);
    ASSERT_EQ(fault(first.compute(*card.tensor, {product()})), "none");
    const std::uint64_t once = card.device->uploaded;
    // Another process on the same item: its own numbers go there, the weights are there.
    Mapping second;
    fill(second, 1);
    ASSERT_EQ(fault(second.compute(*card.tensor, {product()})), "none");
    EXPECT_LT(card.device->uploaded - once, once - 0x1000 + 1);
    EXPECT_TRUE(first.words == second.words);
}

TEST(OnCard, names_what_stops_it_and_computes_rightly_afterwards)
{
    const OnCard card;
    Twins twins;
    twins.there.put(0x4000, std::vector{__builtin_inff()});
    EXPECT_EQ(fault(twins.there.compute(*card.tensor, {half_of_it(), product()})), errors::trap_not_finite);
    twins.there = twins.here;
    twins.compute(*card.tensor, {product(), half_of_it()});
}

TEST(OnCard, brings_back_only_the_rows_that_were_set)
{
    const OnCard card;
    const auto set =
        node(Op::set_rows, plain(0x20000, Type::f16, 64, 1000), {plain(0x4000, Type::f32, 64, 3), plain(0x3000, Type::i64, 3)});
    Twins twins;
    twins.put(0x20000, std::vector<std::uint16_t>(64000, 0x3800));
    twins.put(0x3000, std::vector<std::int64_t>{7, 900, 8});
    twins.compute(*card.tensor, {set});
    EXPECT_LT(card.device->downloaded, 1000U);
}

TEST(OnCard, leaves_gaps_between_rows_as_they_are)
{
    const OnCard card;
    auto gappy = half_of_it();
    gappy.result.stride[1] = 100;
    gappy.result.stride[2] = gappy.result.stride[3] = 300;
    Twins twins;
    twins.put(0x9000, std::vector<std::uint32_t>(80, 0x12345678));
    twins.put(0x8000, std::vector<float>(48, 3.5F));
    twins.compute(*card.tensor, {gappy});
}

TEST(OnCard, begins_when_the_card_is_there)
{
    auto* const device = new cuda::EmulatedDevice;
    const auto card = std::make_shared<cuda::Card>(std::unique_ptr<cuda::Device>(device));
    int asked = 0;
    const auto tensor = extension_on([&] { return ++asked > 2 ? card : nullptr; });
    Twins twins;
    for (int graph = 1; graph <= 4; ++graph) {
        SCOPED_TRACE(graph);
        twins.fill(1);
        twins.compute(*tensor, {product()});
        EXPECT_EQ(device->uploaded > 0, asked > 2);
    }
    EXPECT_EQ(asked, 3);  // and never again
}

TEST(OnCard, leaves_it_to_the_processor_when_the_card_breaks)
{
    const OnCard card;
    Twins twins;
    twins.compute(*card.tensor, {product()});
    card.device->broken = true;
    twins.compute(*card.tensor, {product(), half_of_it()});
}

}  // namespace
}  // namespace altiplano::tensor
