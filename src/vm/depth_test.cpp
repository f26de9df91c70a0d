#include "vm/test_machine.hpp"

#include <fmt/format.h>

#include <thread>

using namespace altiplano;
using namespace altiplano::vm;
using namespace altiplano::vm::test;

// ---- depth

namespace {

/// Counts how deep $r gets before the limit, through a global that the fault's roll-back cannot hide: printed.
constexpr std::string_view count_depth = R"(
    (func $digit (param $v i64)
        (i64.store (i64.const 2048) (i64.const 2064)) (i64.store (i64.const 2056) (i64.const 8))
        (i64.store (i64.const 2064) (local.get $v))
        (drop (call $fd_write (i32.const 1) (i64.const 2048) (i64.const 1) (i64.const 2080)))))";
constexpr std::string_view fd_write_import =
    R"((import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i64 i64 i64) (result i32))))";

std::uint64_t deepest(Machine& machine)
{
    std::uint64_t last = 0;
    const auto done = machine.handle(
        {.message_json = "{}", .env_json = "{}", .gas_limit = plenty, .console = [&](int, std::string_view printed) {
             last = read_u64(as_bytes(printed));
         }});
    EXPECT_EQ(done->fault_code, errors::trap_depth) << done->fault_sentence;
    return last;
}

}  // namespace

TEST(Depth, ends_at_the_same_call_on_every_run_and_every_machine)
{
    const auto guest = guest_wat("(call $r (i64.const 1)) (i64.const 900)",
        std::string(count_depth)
            + "(func $r (param $n i64) (if (i64.eqz (i64.rem_u (local.get $n) (i64.const 100))) (then (call $digit (local.get "
              "$n)))) (call $r (i64.add (local.get $n) (i64.const 1))))",
        fd_write_import);
    auto machine = machine_of(guest);
    const auto depth = deepest(*machine);
    EXPECT_GT(depth, 50'000U);
    EXPECT_EQ(deepest(*machine), depth);
    EXPECT_EQ(deepest(*machine_of(guest)), depth);
    std::uint64_t elsewhere = 0;
    std::thread([&] { elsewhere = deepest(*machine_of(guest)); }).join();
    EXPECT_EQ(elsewhere, depth);
}

TEST(Depth, is_a_fault_and_not_the_native_stack_for_frames_of_any_shape)
{
    // Many live values of the widest kind across a call: what makes native frames large.
    std::string locals = "(local";
    std::string set;
    std::string use;
    for (int i = 0; i < 200; ++i) {
        locals += " v128";
        set += fmt::format("(local.set {} (i64x2.splat (i64.add (local.get 0) (i64.const {}))))", i + 1, i);
        use += fmt::format("(v128.store (i64.const {}) (local.get {}))", 4096 + 16 * i, i + 1);
    }
    locals += ")";
    EXPECT_EQ(outcome("(call $r (i64.const 1)) (i64.const 900)",
                  "(func $r (param i64) " + locals + set + "(call $r (i64.add (local.get 0) (i64.const 1)))" + use + ")"),
        errors::trap_depth);

    // Many parameters and results, which travel on the stack.
    std::string types;
    std::string pass;
    std::string drop;
    for (int i = 0; i < 100; ++i) {
        types += " i64";
        pass += fmt::format("(local.get {})", i);
    }
    std::string start;
    for (int i = 0; i < 100; ++i)
        start += "(i64.const 1)", drop += "(drop)";
    EXPECT_EQ(outcome(start + "(call $r)" + drop + "(i64.const 900)",
                  "(func $r (param" + types + ") (result" + types + ") " + pass + "(call $r))"),
        errors::trap_depth);

    // Values that stay on the operand stack, never in a local.
    std::string operands;
    std::string sums;
    for (int i = 0; i < 500; ++i) {
        operands += fmt::format("(i64.load (i64.const {}))", 8 * i);
        sums += "(i64.add)";
    }
    EXPECT_EQ(outcome("(drop (call $r)) (i64.const 900)", "(func $r (result i64) " + operands + "(call $r)" + sums + ")"),
        errors::trap_depth);
}

TEST(Depth, is_given_back_on_every_way_out_of_a_function)
{
    // Each way out is taken more often than the limit allows frames: one that leaked would be seen.
    constexpr std::string_view ways = R"(
        (tag $t)
        (type $many (func (param i64) (result i64 i64)))
        (table 1 funcref) (elem (i32.const 0) $indirect)
        (func $leaf (param i64) (result i64) (local.get 0))
        (func $by_return (param i64) (result i64) (block (loop (return (call $leaf (local.get 0))))) (unreachable))
        (func $by_branch (param i64) (result i64) (block (br 1 (call $leaf (local.get 0)))) (unreachable))
        (func $by_branch_if (param i64) (result i64) (br_if 0 (call $leaf (local.get 0)) (i32.const 1)))
        (func $by_table (param i64) (result i64) (block (result i64) (br_table 1 0 (call $leaf (local.get 0)) (i32.const 0))))
        (func $by_tail (param i64) (result i64) (return_call $by_return (call $leaf (local.get 0))))
        (func $by_tail_indirect (param i64) (result i64) (return_call_indirect (param i64) (result i64) (local.get 0) (i32.const 0)))
        (func $indirect (param i64) (result i64) (call $leaf (local.get 0)))
        (func $two (type $many) (call $leaf (local.get 0)) (call $leaf (local.get 0)))
        (func $two_return (type $many) (block (return (call $two (local.get 0)))) (unreachable))
        (func $throws (param i64) (result i64) (drop (call $leaf (local.get 0))) (throw $t))
        (func $catches (param i64) (result i64) (block $b (try_table (catch $t $b) (drop (call $throws (local.get 0))))) (call $leaf (local.get 0)))
        (func $catches_at_the_end (param i64) (try_table (catch_all 0) (drop (call $throws (local.get 0)))))
        ;; The catch leads to the start of the loop, again and again within one call.
        (func $catches_in_a_loop (param $n i64)
            (loop $l
                (if (i64.eqz (local.get $n)) (then (drop (call $leaf (local.get $n))) (return)))
                (local.set $n (i64.sub (local.get $n) (i64.const 1)))
                (try_table (catch $t $l) (drop (call $throws (local.get $n))))))
        ;; The same with the catch leading to the end of a block within the loop.
        (func $catches_in_a_block (param $n i64)
            (loop $l
                (block $b (try_table (catch $t $b) (drop (call $throws (local.get $n)))))
                (local.set $n (i64.sub (local.get $n) (i64.const 1)))
                (br_if $l (i64.ne (local.get $n) (i64.const 0)))))
        (func $passes_on (param i64) (block $b (result exnref) (try_table (catch_all_ref $b) (drop (call $throws (local.get 0)))) (return)) (throw_ref))
        (func $catches_passed (param i64) (block $b (try_table (catch $t $b) (call $passes_on (local.get 0))))))";
    // All in one loop of one function: what returns with the counter too high shows, since nobody above restores it.
    constexpr std::string_view all = R"((local $n i64)
        (loop $l
            (drop (call $by_return (local.get $n))) (drop (call $by_branch (local.get $n))) (drop (call $by_branch_if (local.get $n)))
            (drop (call $by_table (local.get $n))) (drop (call $by_tail (local.get $n))) (drop (call $by_tail_indirect (local.get $n)))
            (call $two (local.get $n)) (drop) (drop) (call $two_return (local.get $n)) (drop) (drop)
            (drop (call $catches (local.get $n))) (call $catches_at_the_end (local.get $n)) (call $catches_passed (local.get $n))
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (br_if $l (i64.lt_u (local.get $n) (i64.const 150000))))
        (call $catches_in_a_loop (local.get $n))
        (call $catches_in_a_block (local.get $n))
        (i64.const 8))";
    EXPECT_EQ(outcome(all, std::string(ways) + "(data (i64.const 8) \"done\")"), "done");
}

TEST(Depth, is_right_after_a_catch_many_frames_up)
{
    // Goes down 1000 frames, throws, is caught at the top, and then finds exactly the room that it had before.
    const auto guest = guest_wat(R"(
            (block $b (try_table (catch $t $b) (call $down (i64.const 1000))))
            (call $r (i64.const 1)) (i64.const 900))",
        std::string(count_depth) + R"((tag $t)
            (func $down (param i64) (if (i64.eqz (local.get 0)) (then (throw $t))) (call $down (i64.sub (local.get 0) (i64.const 1))))
            (func $r (param $n i64) (call $digit (local.get $n)) (call $r (i64.add (local.get $n) (i64.const 1)))))",
        fd_write_import);
    // The same without the exception.
    const auto plain = guest_wat(R"(
            (block $b (try_table (catch $t $b)))
            (call $r (i64.const 1)) (i64.const 900))",
        std::string(count_depth) + R"((tag $t) (func $down (param i64))
            (func $r (param $n i64) (call $digit (local.get $n)) (call $r (i64.add (local.get $n) (i64.const 1)))))",
        fd_write_import);
    const auto depth = deepest(*machine_of(guest));
    // `handle` itself weighs a few bytes more with the longer body: less than one frame of $r.
    EXPECT_NEAR(static_cast<double>(depth), static_cast<double>(deepest(*machine_of(plain))), 1.0);
}
