#include "cuda/card.hpp"
#include "cuda/emulated.hpp"
#include "cuda/errors.hpp"
#include "cuda/order.hpp"

#include <gtest/gtest.h>
#include <optional>

namespace altiplano::cuda {
namespace {

/// A card of which one kernel gives another last bit.
class Wrong final : public EmulatedDevice {
public:
    explicit Wrong(kernels::card::Kernel kernel)
        : kernel_(kernel)
    {
    }
    std::string name() const override { return "wrong"; }
    Result<std::unique_ptr<Program>> program(std::span<const Work> work) override
    {
        for (const auto& one : work)
            if (one.launch.kernel == kernel_)
                flip_ = one.node;
        return EmulatedDevice::program(work);
    }
    Result<void> run(Program& program) override
    {
        TRY_OK(EmulatedDevice::run(program));
        // In every row, since of set_rows only some come back.
        for (std::int64_t r = 0; flip_ && r < flip_->result.extent[1]; ++r)
            flip_->result.data[r * flip_->result.stride[1]] ^= std::byte{1};
        flip_.reset();
        return {};
    }

private:
    kernels::card::Kernel kernel_;
    std::optional<kernels::Node> flip_;
};

TEST(Card, passes_its_self_test)
{
    Card card(std::make_unique<EmulatedDevice>());
    const auto passed = self_test(card);
    EXPECT_TRUE(passed) << passed.error().sentence;
}

TEST(Card, of_this_machine_passes_its_self_test)
{
    auto device = nvidia_card();
    if (!device) {
        EXPECT_EQ(device.error().code, errors::no_card) << device.error().sentence;
        return;
    }
    Card card(std::move(*device));
    std::printf("%s\n", card.name().c_str());
    for (const auto& one : differences(card))
        ADD_FAILURE() << one.sentence;
}

TEST(Card, fails_its_self_test_with_one_bit_of_one_operation)
{
    using enum kernels::card::Kernel;
    for (const auto kernel : {one_row_q4_0, one_row_q6_k, two_rows_q4_0, two_rows_q5_k, plain_product, norm, elements, rope,
             get_rows, set_rows, attention, attention_segments, share}) {
        Card card(std::make_unique<Wrong>(kernel));
        const auto passed = self_test(card);
        ASSERT_FALSE(passed) << kernels::card::names[static_cast<unsigned>(kernel)];
        EXPECT_EQ(passed.error().code, errors::wrong_bits);
    }
}

TEST(Waits, are_for_whoever_writes_what_is_touched_and_not_for_whom_those_wait)
{
    const Extent a{0, 10}, b{10, 20}, c{20, 30};
    const Touched work[] = {{{}, {a}}, {{a}, {b}}, {{a}, {c}}, {{b, c}, {a}}, {{b}, {c}}, {{a}, {b}}};
    const auto waits = waits_of(work, 4);
    using Places = std::vector<std::uint32_t>;
    EXPECT_EQ(waits[0].some, Places{});
    EXPECT_EQ(waits[1].some, Places{0});
    EXPECT_EQ(waits[2].some, Places{0}) << "beside the one before";
    EXPECT_EQ(waits[3].some, (Places{1, 2}));
    EXPECT_EQ(waits[4].some, Places{3}) << "writes what that one reads";
    EXPECT_EQ(waits[5].some, Places{4}) << "which waits for 3";
    EXPECT_TRUE(waits_of(work, 1)[3].all);
    EXPECT_EQ(waits_of(work, 1)[4].some, Places{3});

    const std::vector<Touched> many(5000);
    EXPECT_EQ(waits_of(many, 4)[4999].some, Places{4998});
}

TEST(Extents, know_what_is_missing)
{
    Extents some;
    some.add({10, 20});
    some.add({30, 40});
    const auto missing = some.missing({5, 45});
    ASSERT_EQ(missing.size(), 3U);
    EXPECT_EQ(missing[1].begin, 20U);
    EXPECT_EQ(missing[1].end, 30U);
    EXPECT_TRUE(some.missing({12, 18}).empty());
    EXPECT_FALSE(some.overlaps({20, 30}));
    EXPECT_TRUE(some.overlaps({19, 21}));
    some.add({20, 30});
    EXPECT_EQ(some.all().size(), 1U);
    EXPECT_TRUE(some.missing({10, 40}).empty());
}

}  // namespace
}  // namespace altiplano::cuda
