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
    // A changed number here is a change of the gas schedule, hence of compute's `semantics_version`.
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

// ---- counted by the module, and by the engine

namespace {
struct Way {
    const char* what;
    const char* body;
    const char* more = "";
};
void PrintTo(const Way& row, std::ostream* out)
{
    *out << row.what;
}
class Ways : public testing::TestWithParam<Way> { };

ModuleCache& modules_that_burn_fuel()
{
    static const auto one = ModuleCache::open(
        Engine::create(Engine::narrow_reservation_bytes, {.gas = Tuning::Gas::by_engine}).value(), system_files(),
        system_random(),
        {.folder = {}}).value();
    return *one;
}
}  // namespace

TEST_P(Ways, through_code_cost_what_the_engine_would_count)
{
    // $n is 0 to 9, so that every arm is taken.
    for (int n = 0; n < 10; ++n) {
        const auto wasm = wat(guest_wat(
            fmt::format("(local $n i64) (local $i i32) (local.set $n (i64.const {})) {} (i64.const 900)", n, GetParam().body),
            fmt::format(
                "(type $unary (func (param i64) (result i64))) (tag $t (param i64))"
                "(table 2 funcref) (elem (i32.const 0) $double $throws)"
                "(func $double (param i64) (result i64) (i64.mul (local.get 0) (i64.const 2)))"
                "(func $throws (param i64) (result i64) (if (i64.gt_u (local.get 0) (i64.const 4)) (then (throw $t "
                "(local.get 0))))"
                "(i64.add (call $double (local.get 0)) (i64.const 1)))"
                "(func $passes_on (param i64) (result i64) (local i64) (local.set 1 (i64.mul (local.get 0) (local.get 0)))"
                "(i64.add (call $throws (local.get 0)) (local.get 1))) {}",
                GetParam().more)));
        const auto here = Machine::create(modules().compile(wasm).value(), {}).value();
        const auto there = Machine::create(modules_that_burn_fuel().compile(wasm).value(), {}).value();
        constexpr std::uint64_t enough = 1'000'000;
        const auto whole = run(*there, "{}", enough);
        const auto gas = whole.gas_used;
        ASSERT_LT(gas, enough) << n << " " << text(whole) << ": this test runs too long";
        ASSERT_EQ(run(*here, "{}", enough).gas_used, gas) << n;
        // And ends where that is not there.
        for (const auto limit : {gas + 1, gas, gas - 1, gas / 2}) {
            const auto one = run(*here, "{}", limit);
            const auto other = run(*there, "{}", limit);
            EXPECT_EQ(text(one), text(other)) << n << " " << limit;
            EXPECT_EQ(one.gas_used, other.gas_used) << n << " " << limit;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(all, Ways,
    testing::Values(Way{"if_without_else", "(if (i64.gt_u (local.get $n) (i64.const 4)) (then (local.set $n (i64.const 1))))"},
        Way{"arms",
            "(if (i32.wrap_i64 (i64.and (local.get $n) (i64.const 1))) (then (nop)) (else (local.set $n (i64.div_u (local.get "
            "$n) (i64.const "
            "3)))))"
            "(local.set $n (i64.add (local.get $n) (if (result i64) (i64.eqz (local.get $n)) (then (i64.const 1)) (else (i64.clz "
            "(local.get $n))))))"},
        Way{"an_arm_that_leaves",
            "(block $out (if (i64.gt_u (local.get $n) (i64.const 6)) (then (local.set $n (i64.const 1)) (br $out)) (else (br_if "
            "$out "
            "(i64.eqz (local.get $n))))) (local.set $n (i64.mul (local.get $n) (local.get $n))))"},
        Way{"many_ways_out_of_a_block",
            "(block $a (block $b (br_if $a (i64.eq (local.get $n) (i64.const 0))) (br_if $b (i64.eq (local.get $n) (i64.const "
            "1)))"
            "(drop (i64.div_u (local.get $n) (i64.const 7))) (br_if $a (i64.eq (local.get $n) (i64.const 2)))"
            "(br_if $b (i64.eq (local.get $n) (i64.const 3))) (call $h (local.get $n)) (br $a)) (local.set $n (i64.const 4)))",
            "(func $h (param i64) (br_if 0 (i64.gt_u (local.get 0) (i64.const 5))) (drop (i64.popcnt (local.get 0)))"
            "(br_if 0 (i64.gt_u (local.get 0) (i64.const 4))) (drop (i64.popcnt (i64.popcnt (local.get 0)))))"},
        Way{"table_of_branches",
            "(drop (call $h (local.get $n))) (loop $again (local.set $n (i64.sub (local.get $n) (i64.const 1)))"
            "(block $c (block $b (block $a (br_table $a $b $c $again $c (i32.wrap_i64 (local.get $n))))"
            "(local.set $n (i64.clz (local.get $n))) (br_if $c (i64.eqz (local.get $n))))"
            "(if (i64.eqz (local.get $n)) (then (local.set $n (i64.const 8)))) (br_if $again (i64.eq (local.get $n) (i64.const "
            "4))))"
            "(drop (i64.popcnt (local.get $n))))",
            "(func $h (param i64) (result i64) (block $x (result i64) (block $y (result i64) (i64.const 5)"
            "(br_table $x 2 $y 2 (i32.wrap_i64 (local.get 0)))) (drop) (i64.const 6)) (i64.clz))"},
        Way{"loops",
            "(local.set $n (i64.add (local.get $n) (i64.const 1))) (loop $outer (call $halve (local.get $n))"
            "(br_if $outer (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))",
            "(func $halve (param i64) (block $done (loop $inner (br_if $done (i64.eqz (local.get 0)))"
            "(local.set 0 (i64.shr_u (local.get 0) (i64.const 1))) (if (i64.eq (local.get 0) (i64.const 1)) (then (br $inner)))"
            "(drop (i64.rem_u (local.get 0) (i64.const 3))) (br $inner))))"},
        Way{"code_that_never_runs",
            "(block $a (br $a) (if (i32.const 1) (then (loop $l (br $l))) (else (unreachable))) (block $b (br $b)))"
            "(if (i64.eqz (local.get $n)) (then (return (i64.const 900))))"
            "(block $c (loop $d (br $c) (br_if $d (i32.const 1))))"},
        Way{"calls",
            "(drop (i64.add (call $double (local.get $n)) (call_indirect (type $unary) (local.get $n) (i32.const 0))))"
            "(drop (call_ref $unary (local.get $n) (ref.func $double))) (drop (call $down (local.get $n)))",
            "(func $down (param i64) (result i64) (if (i64.eqz (local.get 0)) (then (return_call $double (i64.const 9))))"
            "(if (i64.eq (local.get 0) (i64.const 4)) (then (return_call_indirect (type $unary) (local.get 0) (i32.const 0))))"
            "(return_call $down (i64.sub (local.get 0) (i64.const 1))))"},
        Way{"bytes",
            "(memory.copy (i64.const 60000) (i64.const 50000) (i64.mul (local.get $n) (i64.const 31)))"
            "(memory.fill (i64.const 60000) (i32.const 1) (i64.mul (local.get $n) (i64.const 31)))"
            "(memory.init $d (i64.const 60000) (i32.const 0) (i32.wrap_i64 (local.get $n)))"
            "(memory.copy (i64.const 60000) (i64.const 50000) (i64.const 77)) (drop (memory.grow (local.get $n)))",
            "(data $d \"0123456789\")"},
        Way{"caught",
            "(local.set $n (block $b (result i64) (try_table (catch $t $b) (drop (call $passes_on (local.get $n)))) (i64.const "
            "3)))"
            "(drop (i64.div_u (local.get $n) (i64.const 3)))"},
        Way{"caught_where_others_go_too",
            "(block $b (br_if $b (i64.eqz (local.get $n))) (drop (i64.rem_u (local.get $n) (i64.const 3)))"
            "(try_table (catch_all $b) (br_if $b (i64.eq (local.get $n) (i64.const 2))) (drop (call $passes_on (local.get $n)))"
            "(br_if 1 (i64.eq (local.get $n) (i64.const 3)))) (local.set $n (i64.popcnt (local.get $n))))"
            "(if (i64.ne (local.get $n) (i64.const 0)) (then (try_table (catch_all 0) (drop (call $throws (local.get $n))) "
            "(br_if 1 (i32.const 0)))"
            "(drop (i64.clz (local.get $n)))))"},
        Way{"caught_at_the_head_of_a_loop",
            "(loop $l (if (i64.gt_u (local.get $n) (i64.const 8)) (then (local.set $n (i64.const 0))))"
            "(br_if $l (i64.eq (local.tee $n (i64.add (local.get $n) (i64.const 1))) (i64.const 3)))"
            "(try_table (catch_all $l) (drop (call $passes_on (local.get $n)))))"},
        Way{"caught_at_the_end_of_a_function", "(call $f (local.get $n)) (call $g (local.get $n))",
            "(func $f (param i64) (try_table (catch_all 0) (drop (call $passes_on (local.get 0)))) (drop (i64.clz (local.get "
            "0))))"
            "(func $g (param i64) (block $b (result exnref) (try_table (catch_all_ref $b) (call $f (local.get 0)) (return_call "
            "$f (i64.const 7)))"
            "(return)) (drop))"},
        Way{"thrown_on",
            "(block $o (try_table (catch_all $o) (call $f (local.get $n)))) (block $o (try_table (catch_all $o) (call $g "
            "(local.get $n))))",
            "(func $f (param i64) (throw_ref (block $b (result exnref) (try_table (catch_all_ref $b) (drop (call $throws "
            "(local.get 0)))) (return))))"
            "(func $g (param i64) (drop (i64.div_u (local.get 0) (i64.const 3))) (call $f (local.get 0)))"},
        Way{"settled_by_a_global_that_nobody_writes",
            "(if (i32.eq (global.get $asleep) (i32.const 2)) (then (drop (i64.clz (local.get $n))) (if (global.get $asleep) "
            "(then "
            "(unreachable)) (else (local.set $n (i64.const 77))))))"
            "(block $out (result i32) (if (i32.eqz (global.get $asleep)) (then (local.set $n (i64.add (local.get $n) (i64.const "
            "1)))))"
            "(if (i32.or (i32.eqz (local.get $i)) (i32.eqz (global.get $asleep))) (then (call $f (local.get $n)) (drop (br_if "
            "$out (i32.const 5) (i32.eq (global.get $asleep) (i32.const 1))))))"
            "(if (i32.and (i64.eqz (local.get $n)) (global.get $asleep)) (then (unreachable)) (else (local.set $n (i64.popcnt "
            "(local.get $n)))))"
            "(if (i32.ne (i32.const 3) (select (local.get $i) (i32.const 4) (global.get $asleep))) (then (local.set $n (i64.ctz "
            "(local.get $n)))) (else (unreachable)))"
            "(drop (br_if $out (i32.wrap_i64 (local.get $n)) (i32.eqz (global.get $asleep)))) (if (result i32) (i32.const 1) "
            "(then "
            "(i32.const 2)) (else (i32.const 3)))) (local.set $i)"
            "(loop $l (br_if $l (global.get $asleep))) (if (global.get $never) (then (local.set $i (i32.const 9))))",
            "(global $asleep (mut i32) (i32.const 0)) (global $never (mut i32) (i32.const 0)) (global $stack (mut i64) "
            "(i64.const "
            "3))"
            "(func (export \"asyncify_start_unwind\") (param i64) (global.set $asleep (i32.const 1)) (global.set $stack "
            "(local.get "
            "0)))"
            "(func $writes_and_nobody_calls_it (global.set $never (i32.const 1)))"
            "(func $f (param i64) (if (i32.and (i32.eqz (global.get $asleep)) (i64.gt_u (local.get 0) (i64.const 4))) (then (if "
            "(global.get $asleep) (then (return))) (drop (i64.mul (local.get 0) (global.get $stack))) (return)))"
            "(loop $l (if (i32.eqz (global.get $asleep)) (then (local.set 0 (i64.add (local.get 0) (i64.const 1))) (br_if $l "
            "(i64.lt_u (local.get 0) (i64.const 7)))))))"},
        Way{"several_results", "(drop (i64.add (call $pair (local.get $n))))",
            "(func $pair (param i64) (result i64 i64) (block $b (result i64 i64) (i64.const 1) (local.get 0)"
            "(br_if $b (i64.eqz (local.get 0))) (br_if 1 (i64.eq (local.get 0) (i64.const 5))) (i64.const 3) (i64.mul)))"},
        Way{"null_references", "(drop (call $h (local.get $n)))",
            "(func $h (param i64) (result i64) (local funcref) (if (i64.gt_u (local.get 0) (i64.const 4)) (then (local.set 1 "
            "(ref.func $double))))"
            "(block $null (drop (br_on_null $null (local.get 1))) (return (i64.clz (local.get 0))))"
            "(if (i64.eqz (local.get 0)) (then (local.set 1 (ref.func $double))))"
            "(drop (block $some (result (ref func)) (br_on_non_null $some (local.get 1)) (return (i64.const 3)))) (i64.const "
            "2))"}),
    [](const auto& row) { return row.param.what; });
