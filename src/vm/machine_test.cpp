#include "vm/machine.hpp"

#include "base/hash.hpp"
#include "memory/errors.hpp"
#include "vm/errors.hpp"
#include "vm/test_wat.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <pthread.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::vm;
using vm::test::guest_wat;
using vm::test::wat;

namespace {

std::shared_ptr<Engine> engine()
{
    static const auto one = Engine::create().value();
    return one;
}

ModuleCache& modules()
{
    static const auto one = ModuleCache::open(engine(), system_files(), system_random(), {.folder = {}}).value();
    return *one;
}

std::shared_ptr<const Module> module_of(std::string_view text)
{
    auto module = modules().compile(wat(text));
    if (!module)
        throw std::runtime_error(module.error().sentence);
    return *module;
}

std::unique_ptr<Machine> machine_of(std::string_view text, Machine::Limits limits = {})
{
    auto machine = Machine::create(module_of(text), limits);
    if (!machine)
        throw std::runtime_error(machine.error().sentence);
    return *std::move(machine);
}

constexpr std::uint64_t plenty = 100'000'000'000;

Run run(Machine& machine, std::string_view message = "{}", std::uint64_t gas = plenty)
{
    auto done = machine.handle({.message_json = message, .env_json = "{}", .gas_limit = gas});
    if (!done)
        throw std::runtime_error(std::string(done.error().code) + ": " + done.error().sentence);
    return *std::move(done);
}

std::string text(const Run& run)
{
    return run.kind == Run::Kind::result ? to_string(run.bytes) : std::string(run.fault_code);
}

std::string outcome(std::string_view body, std::string_view more = {}, std::uint64_t gas = plenty)
{
    auto machine = machine_of(guest_wat(body, more));
    return text(run(*machine, "{}", gas));
}

/// Puts a decimal number at address 512 and returns its text's address: $number_text.
constexpr std::string_view number_text = R"(
    (func $number_text (param $v i64) (result i64) (local $at i64)
        (local.set $at (i64.const 540))
        (i64.store8 (local.get $at) (i64.const 0))
        (loop $next
            (local.set $at (i64.sub (local.get $at) (i64.const 1)))
            (i64.store8 (local.get $at) (i64.add (i64.const 48) (i64.rem_u (local.get $v) (i64.const 10))))
            (local.set $v (i64.div_u (local.get $v) (i64.const 10)))
            (br_if $next (i64.ne (local.get $v) (i64.const 0))))
        (local.get $at)))";

}  // namespace

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

// ---- arithmetic that must not show the host

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

// ---- state between messages

namespace {

/// Counts messages in a global, in memory, and grows by a wasm page when the message is "grow"; "trap" and "deep" fail
/// after changing everything; answers with the global.
const std::string counter = guest_wat(R"(
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (global.set $wide (i64x2.splat (global.get $count)))
        (global.set $single (f32.convert_i64_u (global.get $count)))
        (i64.store (i64.const 32768) (i64.add (i64.load (i64.const 32768)) (i64.const 1)))
        (if (i32.eq (i32.load8_u (local.get $message)) (i32.const 103))
            (then (i64.store (i64.mul (memory.grow (i64.const 1)) (i64.const 65536)) (global.get $count))))
        (if (i32.eq (i32.load8_u (local.get $message)) (i32.const 116)) (then (unreachable)))
        (if (i32.eq (i32.load8_u (local.get $message)) (i32.const 100)) (then (call $deep)))
        (if (i64.ne (i64x2.extract_lane 1 (global.get $wide)) (i64.load (i64.const 32768))) (then (unreachable)))
        (call $number_text (global.get $count)))",
    std::string(number_text) + R"((global $count (mut i64) (i64.const 100)) (global $wide (mut v128) (v128.const i64x2 0 0))
        (global $single (mut f32) (f32.const 0)) (func $deep (drop (memory.grow (i64.const 2))) (call $deep))
        (func (export "_initialize") (i64.store (i64.const 32768) (i64.const 100))))");

}  // namespace

TEST(State, goes_on_from_message_to_message)
{
    auto machine = machine_of(counter);
    EXPECT_EQ(text(run(*machine)), "101");
    EXPECT_EQ(text(run(*machine)), "102");
    EXPECT_EQ(text(run(*machine, "grow")), "103");
    EXPECT_EQ(machine->memory_bytes(), 3 * 65536U);
}

TEST(State, after_a_fault_or_a_roll_back_is_that_of_the_last_commit)
{
    auto machine = machine_of(counter);
    run(*machine);
    const auto root = machine->commit().value();
    EXPECT_EQ(machine->root(), root);
    for (const auto* message : {"trap", "deep"}) {
        EXPECT_EQ(run(*machine, message).kind, Run::Kind::guest_fault);
        EXPECT_EQ(machine->memory_bytes(), 2 * 65536U);
        EXPECT_EQ(machine->root(), root);
        EXPECT_EQ(machine->commit().value(), root);
    }
    run(*machine, "grow");
    ASSERT_TRUE(machine->roll_back());
    EXPECT_EQ(machine->memory_bytes(), 2 * 65536U);
    EXPECT_EQ(machine->commit().value(), root);
    // The memory that grows again is zero again, and the count goes on where it was.
    EXPECT_EQ(text(run(*machine, "grow")), "102");
}

TEST(State, has_a_root_that_follows_from_the_messages_alone)
{
    auto straight = machine_of(counter);
    auto winding = machine_of(counter);
    EXPECT_EQ(straight->root(), winding->root());
    for (const auto* message : {"a", "grow", "b"}) {
        const auto root = run(*straight, message).kind == Run::Kind::result ? straight->commit().value() : Digest();
        run(*winding, "trap");
        run(*winding, message);
        EXPECT_TRUE(winding->roll_back());
        run(*winding, "deep");
        const auto gas = run(*winding, message).gas_used;
        EXPECT_EQ(winding->commit().value(), root);
        EXPECT_GT(gas, 0U);
    }
    EXPECT_NE(straight->root(), machine_of(counter)->root());
}

TEST(State, of_every_kind_of_global_is_in_the_root)
{
    for (const auto* change : {"(global.set $i (i32.const 1))", "(global.set $l (i64.const 1))", "(global.set $f (f32.const 1))",
             "(global.set $d (f64.const 1))", "(global.set $v (v128.const i64x2 0 1))"}) {
        auto machine = machine_of(guest_wat(std::string(change) + "(i64.const 900)",
            "(global $i (mut i32) (i32.const 0)) (global $l (mut i64) (i64.const 0)) (global $f (mut f32) (f32.const 0))"
            "(global $d (mut f64) (f64.const 0)) (global $v (mut v128) (v128.const i64x2 0 0))"));
        const auto before = machine->root();
        run(*machine);
        EXPECT_NE(machine->commit().value(), before) << change;
    }
}

TEST(State, of_two_machines_on_two_threads_does_not_mix)
{
    std::vector<std::thread> threads;
    std::array<std::string, 4> last;
    for (std::size_t i = 0; i < last.size(); ++i)
        threads.emplace_back([&, i] {
            auto machine = machine_of(counter);
            for (int n = 0; n < 200; ++n)
                last[i] = text(run(*machine, n % 7 == 0 ? "trap" : "x"));
        });
    for (auto& thread : threads)
        thread.join();
    for (const auto& text : last)
        // Without commits each fault goes back to the start: 100 + the messages since the last one.
        EXPECT_EQ(text, "103");
}

// ---- memory limits

TEST(Memory, grows_to_the_limit_of_the_process_and_then_answers_minus_one)
{
    constexpr std::string_view body = R"((local $n i64)
        (loop $l (br_if $l (i64.ne (memory.grow (i64.const 1)) (i64.const -1))))
        (call $number_text (memory.size)))";
    auto small = machine_of(guest_wat(body, number_text), {.memory_bytes = 5 * 65536 + 100});
    EXPECT_EQ(text(run(*small)), "5");
    // The module's own maximum is 64.
    auto large = machine_of(guest_wat(body, number_text));
    EXPECT_EQ(text(run(*large)), "64");
}

TEST(Memory, refuses_a_process_whose_limit_is_below_the_modules_start)
{
    const auto machine = Machine::create(module_of(guest_wat("(i64.const 8)")), {.memory_bytes = 65536});
    ASSERT_FALSE(machine);
    EXPECT_EQ(machine.error().code, errors::memory_over_limit);
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
        Golden{"grow", "(drop (memory.grow (i64.const 3)))", 1053},
        Golden{"throw", "(block $b (try_table (catch $t $b) (throw $t)))", 288},
        Golden{"loop",
            "(local $i i32) (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) "
            "(i32.const 100))))",
            832}),
    [](const auto& row) { return row.param.what; });

// ---- images

namespace {

class Image : public testing::TestWithParam<memory::Tracker> {
protected:
    void SetUp() override
    {
        if (!memory::Region::fresh(65536, GetParam()))
            GTEST_SKIP() << "this kernel has no userfaultfd WP_ASYNC (Linux 6.7 and later)";
        ASSERT_TRUE(system_files().make_directories(folder));
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
    Result<std::unique_ptr<Machine>> restored(const std::shared_ptr<const Module>& module, Machine::Limits limits = {})
    {
        limits.tracker = GetParam();
        std::vector<std::unique_ptr<File>> layers;
        layers.push_back(system_files().open(path, Files::Mode::read).value());
        return Machine::restore(module, limits, layers, no_files());
    }
    const Path folder = Path(testing::TempDir()) / ("altiplano-image-" + std::to_string(getpid()));
    const Path path = folder / "image";
};
INSTANTIATE_TEST_SUITE_P(trackers, Image,
    testing::Values(memory::Tracker::kernel, memory::Tracker::fault, memory::Tracker::compare), [](const auto& row) {
        return std::string(row.param == memory::Tracker::kernel ? "kernel"
                : row.param == memory::Tracker::fault           ? "fault"
                                                                : "compare");
    });

}  // namespace

TEST_P(Image, of_a_machine_goes_on_as_the_machine_does)
{
    auto warm = machine_of(counter, {.tracker = GetParam()});
    for (const auto* message : {"a", "grow", "b", "trap", "grow", "c"}) {
        ASSERT_TRUE(warm->save(system_files(), path));
        auto cold = restored(module_of(counter));
        ASSERT_TRUE(cold) << cold.error().sentence;
        EXPECT_EQ((*cold)->root(), warm->root());
        const auto expected = run(*warm, message);
        const auto got = run(**cold, message);
        EXPECT_EQ(text(got), text(expected));
        EXPECT_EQ(got.gas_used, expected.gas_used);
        EXPECT_EQ((*cold)->commit().value(), warm->commit().value());
        EXPECT_EQ((*cold)->memory_bytes(), warm->memory_bytes());
    }
}

TEST_P(Image, rolls_back_to_what_was_loaded)
{
    auto warm = machine_of(counter);
    run(*warm, "grow");
    const auto root = warm->commit().value();
    ASSERT_TRUE(warm->save(system_files(), path));
    auto cold = restored(module_of(counter)).value();
    EXPECT_EQ(run(*cold, "trap").kind, Run::Kind::guest_fault);
    EXPECT_EQ(cold->commit().value(), root);
    EXPECT_EQ(text(run(*cold, "x")), "102");
    ASSERT_TRUE(cold->roll_back());
    EXPECT_EQ(cold->commit().value(), root);
}

TEST_P(Image, is_refused_when_it_does_not_fit)
{
    auto warm = machine_of(counter);
    run(*warm, "grow");
    EXPECT_TRUE(warm->commit());
    ASSERT_TRUE(warm->save(system_files(), path));
    EXPECT_EQ(restored(module_of(guest_wat("(i64.const 8)"))).error().code, errors::bad_image);
    EXPECT_EQ(restored(module_of(counter), {.memory_bytes = 2 * 65536}).error().code, errors::memory_over_limit);
    // Any changed byte of it is found before it decides anything.
    const auto good = read_file(system_files(), path).value();
    const auto expected = text(run(*warm, "x"));
    ASSERT_TRUE(warm->roll_back());
    for (std::size_t place = 0; place < good.size(); place += 997) {
        auto bad = good;
        bad[place] ^= std::byte{4};
        const auto file = system_files().open(path, Files::Mode::create).value();
        ASSERT_TRUE(file->write_at(0, bad));
        auto machine = restored(module_of(counter));
        if (!machine)
            continue;
        // Found when it is touched, or it never decides anything: padding, or a page that nobody looked at.
        EXPECT_EQ((*machine)->root(), warm->root()) << place;
        const auto done = (*machine)->handle({.message_json = "x", .env_json = "{}", .gas_limit = plenty});
        if (done)
            EXPECT_EQ(text(*done), expected) << place;
        else
            EXPECT_EQ(done.error().code, memory::errors::bad_image) << place;
    }
    ASSERT_TRUE(write_file(system_files(), path, Bytes(good).first(good.size() / 2)));
    EXPECT_FALSE(restored(module_of(counter)));
}

TEST_P(Image, and_tracker_show_in_no_root)
{
    auto one = machine_of(counter, {.tracker = GetParam()});
    auto other = machine_of(counter);
    for (const auto* message : {"a", "grow", "trap", "b", "deep", "grow"}) {
        EXPECT_EQ(text(run(*one, message)), text(run(*other, message)));
        EXPECT_EQ(one->commit().value(), other->commit().value());
    }
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

TEST(Machine, takes_the_largest_gas_limit)
{
    auto machine = machine_of(guest_wat("(i64.const 900)"));
    EXPECT_EQ(run(*machine, "{}", UINT64_MAX).gas_used, run(*machine).gas_used);
}
