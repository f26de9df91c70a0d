#include "vm/test_machine.hpp"

#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::vm;
using namespace altiplano::vm::test;

TEST(Machine, says_where_the_gas_went_and_counts_the_same_each_time)
{
    const auto guest = guest_wat("(local $i i64) (loop $l (local.set $i (i64.add (local.get $i) (i64.const 1))) (br_if $l "
                                 "(i64.lt_u (local.get $i) (i64.const 1000)))) (i64.const 900)");
    auto one = machine_of(guest);
    const auto first = run(*one).gas_used;
    EXPECT_EQ(run(*one).gas_used, first);
    EXPECT_EQ(run(*machine_of(guest)).gas_used, first);
    // One unit must be left; else all of it is gone.
    EXPECT_EQ(run(*one, "{}", first + 1).kind, Run::Kind::result);
    EXPECT_EQ(run(*one, "{}", first + 1).gas_used, first);
    for (const auto limit : {first, first - 1, first / 2, std::uint64_t{1}, std::uint64_t{0}}) {
        const auto fault = run(*one, "{}", limit);
        EXPECT_EQ(fault.fault_code, errors::trap_out_of_gas);
        EXPECT_EQ(fault.gas_used, limit);
    }
}

// ---- the gas schedule

namespace {
struct Golden {
    const char* what;
    const char* body;
    std::uint64_t gas;
};
void PrintTo(const Golden& row, std::ostream* out)
{
    *out << row.what;
}
class Gas : public testing::TestWithParam<Golden> { };
}  // namespace

TEST_P(Gas, of_guest_code_is_what_it_always_was)
{
    // A changed number here is a change of the gas schedule, hence of `semantics_version`.
    auto machine = machine_of(guest_wat(std::string(GetParam().body) + "(i64.const 900)",
        "(tag $t) (table 1 funcref) (elem (i32.const 0) $f) (func $f (nop)) (func $g (call $f))"));
    EXPECT_EQ(run(*machine).gas_used, GetParam().gas);
}

INSTANTIATE_TEST_SUITE_P(golden, Gas,
    testing::Values(Golden{"nothing", "", 32},
        Golden{"integers", "(drop (i64.add (i64.mul (i64.const 3) (i64.const 4)) (i64.const 5)))", 37},
        Golden{"division", "(drop (i64.div_u (i64.const 3) (i64.const 4)))", 42},
        Golden{"floats", "(drop (f64.add (f64.const 3) (f64.div (f64.const 1) (f64.const 4))))", 45},
        Golden{"memory", "(i64.store (i64.const 0) (i64.load (i64.const 8)))", 36},
        Golden{"vectors", "(v128.store (i64.const 0) (i8x16.add (v128.load (i64.const 16)) (v128.load (i64.const 32))))", 39},
        Golden{"call_of_a_leaf", "(call $f)", 48}, Golden{"call", "(call $g)", 64},
        Golden{"indirect_call", "(call_indirect (i32.const 0))", 53},
        Golden{"copy", "(memory.copy (i64.const 0) (i64.const 100) (i64.const 1000))", 1083},
        Golden{"fill", "(memory.fill (i64.const 0) (i32.const 1) (i64.const 800))", 883},
        Golden{"grow", "(drop (memory.grow (i64.const 3)))", 1058},
        Golden{"throw", "(block $b (try_table (catch $t $b) (throw $t)))", 288},
        Golden{"loop",
            "(local $i i32) (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) "
            "(i32.const 100))))",
            832}),
    [](const auto& row) { return row.param.what; });

TEST(Gas, of_an_absurd_ask_for_memory_is_that_of_minus_one)
{
    // The engine takes the gas of each page before it looks whether there is room: these would be 2^40 pages and more.
    for (const auto* pages :
        {"(i64.const 0x1000001)", "(i64.const 0x10000000000)", "(i64.const -1)", "(i64.const 0x8000000000000000)"}) {
        auto machine = machine_of(
            guest_wat(fmt::format("(if (i64.ne (memory.grow {}) (i64.const -1)) (then (unreachable))) (i64.const 900)", pages)));
        const auto done = run(*machine);
        EXPECT_EQ(done.kind, Run::Kind::result) << pages << done.fault_sentence;
        EXPECT_LT(done.gas_used, 100U) << pages;
    }
}

/// Another reservation makes other bounds checks, hence other code.
TEST(Machine, counts_the_same_under_another_engine)
{
    const auto other = Engine::create(std::uint64_t{1} << 40).value();
    const auto cache = ModuleCache::open(other, system_files(), system_random(), {.folder = {}}).value();
    const auto wasm =
        wat(guest_wat("(local $i i64) (loop $l (i64.store (local.get $i) (i64.load (i64.add (local.get $i) (i64.const 8))))"
                      "(local.set $i (i64.add (local.get $i) (i64.const 8))) (br_if $l (i64.lt_u (local.get $i) "
                      "(i64.const 4096)))) (drop (memory.grow (i64.const 2))) (memory.fill (i64.const 0) (i32.const 0) "
                      "(i64.const 100)) (i64.const 900)"));
    const auto here = Machine::create(modules().compile(wasm).value(), {}).value();
    const auto there = Machine::create(cache->compile(wasm).value(), {}).value();
    EXPECT_EQ(run(*here).gas_used, run(*there).gas_used);
    EXPECT_EQ(here->commit().value(), there->commit().value());
}

TEST(Machine, takes_the_largest_gas_limit)
{
    auto machine = machine_of(guest_wat("(i64.const 900)"));
    EXPECT_EQ(run(*machine, "{}", UINT64_MAX).gas_used, run(*machine).gas_used);
}
