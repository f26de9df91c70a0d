#include "vm/test_machine.hpp"

#include "memory/errors.hpp"

#include <fmt/format.h>

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::vm;
using namespace altiplano::vm::test;

// ---- outcomes

TEST(Machine, answers_with_exactly_the_bytes_of_the_guest)
{
    EXPECT_EQ(
        outcome("(i64.const 8)", "(data (i64.const 8) \"{\\22ok\\22:true, \\ff\\01}\\00not this\")"), "{\"ok\":true, \xff\x01}");
}

TEST(Machine, hands_over_message_and_environment_with_a_nul_behind)
{
    auto machine = machine_of(guest_wat("(local.get $message)"));
    EXPECT_EQ(text(run(*machine, R"({"Id":"1"})")), R"({"Id":"1"})");
    EXPECT_EQ(text(run(*machine, "x")), "x");
    auto echo = machine_of(guest_wat("(local.get $env)"));
    EXPECT_EQ(text(run(*echo)), "{}");
}

struct Trap {
    const char* name;
    const char* body;
    std::string_view code;
    const char* more = "";
};
void PrintTo(const Trap& row, std::ostream* out)
{
    *out << row.name;
}
class Traps : public testing::TestWithParam<Trap> { };

TEST_P(Traps, are_faults_of_the_guest_that_cost_all_gas_and_leave_the_memory_as_it_was)
{
    // A byte is written first: it must be gone afterwards.
    auto machine =
        machine_of(guest_wat(fmt::format("(if (i64.eq (i64.load8_u (local.get $message)) (i64.const 63)) (then (i64.store8 "
                                         "(i64.const 900) (i64.const 66)) {} (unreachable))) (i64.const 900)",
                                 GetParam().body),
            std::string("(data (i64.const 900) \"A\")") + GetParam().more));
    const auto root = machine->root();
    const auto fault = run(*machine, "?", 50'000'000);
    EXPECT_EQ(fault.kind, Run::Kind::guest_fault);
    EXPECT_EQ(fault.fault_code, GetParam().code) << fault.fault_sentence;
    EXPECT_EQ(fault.gas_used, 50'000'000U);
    EXPECT_FALSE(fault.fault_sentence.empty());
    EXPECT_TRUE(fault.bytes.empty());
    EXPECT_EQ(machine->root(), root);
    EXPECT_EQ(text(run(*machine, "go on")), "A");
}

INSTANTIATE_TEST_SUITE_P(listed, Traps,
    testing::Values(Trap{"unreachable", "", errors::trap_unreachable},
        Trap{"load", "(drop (i64.load (i64.const 0x7fffffff0000)))", errors::trap_out_of_bounds},
        Trap{"load_behind_the_end", "(drop (i64.load8_u (i64.const 131072)))", errors::trap_out_of_bounds},
        Trap{"load_that_wraps", "(drop (i64.load offset=16 (i64.const -8)))", errors::trap_out_of_bounds},
        Trap{"load_over_the_end", "(drop (i64.load (i64.const 131065)))", errors::trap_out_of_bounds},
        Trap{
            "load_over_the_end_by_its_offset", "(drop (i64.load8_u offset=65536 (i64.const 65536)))", errors::trap_out_of_bounds},
        Trap{"store_with_an_offset_behind_any_guard", "(i64.store8 offset=12884901888 (i64.const 0) (i64.const 1))",
            errors::trap_out_of_bounds},
        Trap{"store_at_the_end_of_what_was_grown",
            "(drop (memory.grow (i64.const 1))) (i64.store8 offset=65536 (i64.const 131071) (i64.const 1)) "
            "(i64.store8 offset=1 (i64.const 196607) (i64.const 1))",
            errors::trap_out_of_bounds},
        Trap{"store_in_the_guard", "(i64.store8 (i64.const 17179869200) (i64.const 1))", errors::trap_out_of_bounds},
        Trap{"bulk_copy", "(memory.copy (i64.const 0) (i64.const 131000) (i64.const 100))", errors::trap_out_of_bounds},
        Trap{"division", "(drop (i64.div_u (i64.const 1) (i64.const 0)))", errors::trap_division_by_zero},
        Trap{"overflow", "(drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1)))", errors::trap_integer_overflow},
        Trap{"conversion", "(drop (i64.trunc_f64_s (f64.const nan)))", errors::trap_bad_conversion},
        Trap{"table_bounds", "(call_indirect (type $none) (i32.const 9))", errors::trap_table_out_of_bounds,
            "(table 1 funcref) (type $none (func))"},
        Trap{"empty_entry", "(call_indirect (type $none) (i32.const 0))", errors::trap_indirect_call,
            "(table 1 funcref) (type $none (func))"},
        Trap{"other_signature", "(call_indirect (type $none) (i32.const 0))", errors::trap_indirect_call,
            "(table 1 funcref) (type $none (func)) (func $f (result i32) (i32.const 1)) (elem (i32.const 0) $f)"},
        Trap{"exception", "(throw $t)", errors::trap_exception, "(tag $t)"},
        Trap{"endless_loop", "(loop $l (br $l))", errors::trap_out_of_gas},
        Trap{"endless_copies", "(loop $l (memory.copy (i64.const 0) (i64.const 1) (i64.const 100000)) (br $l))",
            errors::trap_out_of_gas},
        Trap{"endless_recursion", "(call $r)", errors::trap_depth, "(func $r (call $r))"}),
    [](const auto& row) { return row.param.name; });

// ---- arithmetic that must not show the host

/// The engine makes code of them, which burns fuel before there is a message that pays for it.
TEST(Machine, starts_with_first_values_that_are_computed)
{
    EXPECT_EQ(outcome("(call $number_text (global.get $sum))",
                  std::string(number_text)
                      + "(global $sum (mut i64) (i64.add (i64.const 40) (i64.const 2))) (func $f)"
                        "(table 4 4 funcref) (elem (i32.add (i32.const 1) (i32.const 2)) func $f)"),
        "42");
}

TEST(Machine, has_one_nan)
{
    // 0/0 is negative on x86 and positive on ARM; canonical everywhere here (measured.md, trap 4). Also in vectors.
    constexpr std::string_view body = R"(
        (i64.store (i64.const 8) (i64.reinterpret_f64 (f64.div (f64.const 0) (f64.const 0))))
        (i64.store (i64.const 16) (i64.reinterpret_f64 (f64.sqrt (f64.const -1))))
        (v128.store (i64.const 24) (f32x4.div (v128.const f32x4 0 0 0 0) (v128.const f32x4 0 0 0 0)))
        (i64.store (i64.const 40) (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (i64.const 0xfff8000000000001)) (f64.const 1))))
        (if (i64.ne (i64.load (i64.const 8)) (i64.const 0x7ff8000000000000)) (then (unreachable)))
        (if (i64.ne (i64.load (i64.const 16)) (i64.const 0x7ff8000000000000)) (then (unreachable)))
        (if (i64.ne (i64.load (i64.const 24)) (i64.const 0x7fc000007fc00000)) (then (unreachable)))
        (if (i64.ne (i64.load (i64.const 40)) (i64.const 0x7ff8000000000000)) (then (unreachable)))
        (i64.const 900))";
    EXPECT_EQ(outcome(body, "(data (i64.const 900) \"canonical\")"), "canonical");
}

TEST(Machine, has_one_relaxed_simd)
{
    // A product whose rounding shows whether madd is fused: the deterministic profile says it is.
    constexpr std::string_view body = R"(
        (v128.store (i64.const 16) (f32x4.relaxed_madd (v128.const f32x4 1.0000001 0 0 0) (v128.const f32x4 1.0000001 0 0 0) (v128.const f32x4 -1.0000002 0 0 0)))
        (call $number_text (i64.extend_i32_u (i32.load (i64.const 16)))))";
    EXPECT_EQ(outcome(body, number_text),
        std::to_string(std::bit_cast<std::uint32_t>(__builtin_fmaf(1.0000001F, 1.0000001F, -1.0000002F))));
}

TEST(Constructors, run_once_in_their_order_with_clock_zero)
{
    auto machine = machine_of(guest_wat("(i64.const 8)", R"((data (i64.const 8) "??") (start $s)
        (func $s (i32.store8 (i64.const 8) (i32.add (i32.load8_u (i64.const 8)) (i32.const 1))))
        (func (export "_initialize")
            (if (i32.ne (i32.load8_u (i64.const 8)) (i32.const 64)) (then (unreachable)))
            (drop (call $clock (i32.const 0) (i64.const 0) (i64.const 16)))
            (if (i64.ne (i64.load (i64.const 16)) (i64.const 0)) (then (unreachable)))
            (i32.store8 offset=1 (i64.const 8) (i32.const 33))))",
        R"((import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i64) (result i32))))"));
    EXPECT_EQ(text(run(*machine)), "@!");
    EXPECT_EQ(text(run(*machine)), "@!");
}

TEST(Constructors, that_fail_are_a_refusal_of_the_module)
{
    for (const auto* more : {"(func (export \"_initialize\") (unreachable))", "(func (export \"_initialize\") (loop (br 0)))",
             "(func $s (unreachable)) (start $s)", "(data (i64.const 131072) \"x\")",
             "(table 1 funcref) (elem (i32.const 1) $f) (func $f)"}) {
        const auto machine = Machine::create(module_of(guest_wat("(i64.const 8)", more)), {});
        ASSERT_FALSE(machine) << more;
        EXPECT_EQ(machine.error().code, errors::constructors_failed) << more;
    }
}

TEST(Results, that_are_no_text_are_faults)
{
    EXPECT_EQ(outcome("(i64.const 131072)"), errors::trap_bad_result);
    EXPECT_EQ(outcome("(i64.const -1)"), errors::trap_bad_result);
    EXPECT_EQ(
        outcome("(memory.fill (i64.const 131000) (i32.const 65) (i64.const 72)) (i64.const 131000)"), errors::trap_bad_result);
    EXPECT_EQ(outcome("(memory.fill (i64.const 131000) (i32.const 65) (i64.const 71)) (i64.const 131000)"), std::string(71, 'A'));
}

// ---- exceptions

TEST(Exceptions, carry_values_across_frames_and_do_not_pile_up)
{
    // Ten million thrown bytes' worth of exceptions in one message: the heap that holds them is 64 MiB.
    constexpr std::string_view body = R"((local $i i64) (local $sum i64)
        (loop $l
            (local.set $sum (i64.add (local.get $sum) (call $caught (local.get $i))))
            (local.set $i (i64.add (local.get $i) (i64.const 1)))
            (br_if $l (i64.lt_u (local.get $i) (i64.const 300000))))
        (call $number_text (local.get $sum)))";
    constexpr std::string_view more = R"((tag $t (param i64))
        (func $throw (param i64) (throw $t (local.get 0)))
        (func $between (param i64) (call $throw (local.get 0)))
        (func $caught (param i64) (result i64) (block $b (result i64) (try_table (catch $t $b) (call $between (local.get 0))) (i64.const -1))))";
    auto machine = machine_of(guest_wat(body, std::string(number_text) + std::string(more)));
    const auto first = run(*machine);
    EXPECT_EQ(text(first), "44999850000");
    EXPECT_EQ(run(*machine).gas_used, first.gas_used);
}

TEST(Exceptions, and_traps_are_told_apart)
{
    // catch_all catches no trap.
    EXPECT_EQ(outcome("(block $b (try_table (catch_all $b) (unreachable))) (i64.const 900)"), errors::trap_unreachable);
    EXPECT_EQ(
        outcome("(block $b (try_table (catch_all $b) (call $r))) (i64.const 900)", "(func $r (call $r))"), errors::trap_depth);
}

TEST(Machine, runs_from_a_thread_with_a_small_stack)
{
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
    auto machine = machine_of(guest_wat("(call $r (i64.const 90000)) (i64.const 8)",
        "(data (i64.const 8) \"deep\") (func $r (param i64) (if (i64.ne (local.get 0) (i64.const 0)) (then (call $r (i64.sub "
        "(local.get 0) (i64.const 1))))))"));
    std::pair<Machine*, std::string> shared{machine.get(), ""};
    pthread_t thread;
    ASSERT_EQ(pthread_create(
                  &thread, &attributes,
                  [](void* p) -> void* {
                      auto& [guest, answer] = *static_cast<std::pair<Machine*, std::string>*>(p);
                      answer = text(run(*guest));
                      return nullptr;
                  },
                  &shared),
        0);
    ASSERT_EQ(pthread_join(thread, nullptr), 0);
    pthread_attr_destroy(&attributes);
    EXPECT_EQ(shared.second, "deep");
}

// ---- faults of the host

TEST(HostFault, is_what_the_kernel_refuses_and_never_an_answer)
{
    // A child of its own, started anew: the engine's threads do not survive a fork.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    // A process may have the memory, this machine does not: memory.grow answers -1 to the guest, and whatever the guest
    // makes of that must not be recorded.
    EXPECT_EXIT(
        {
            auto machine = machine_of(guest_wat("(drop (memory.grow (i64.const 4096))) (i64.const 900)", "", "", "i64 2 65536"));
            rlimit limit{};
            getrlimit(RLIMIT_DATA, &limit);
            limit.rlim_cur = 1 << 20;
            setrlimit(RLIMIT_DATA, &limit);
            const auto done = machine->handle({.message_json = "{}", .env_json = "{}", .gas_limit = plenty});
            const auto again = machine->handle({.message_json = "{}", .env_json = "{}", .gas_limit = plenty});
            const bool right = !done && done.error().code == errors::host_memory && !again
                && again.error().code == errors::machine_lost && !machine->commit() && !machine->roll_back();
            std::fprintf(stderr, "%s\n", done ? "answered" : std::string(done.error().code).c_str());
            std::_Exit(right ? 0 : 1);
        },
        testing::ExitedWithCode(0), "vm.host_memory");
}
