// What the rewriting pass makes of legacy exceptions (shim/src/legacy.rs), run.
#include "vm/errors.hpp"
#include "vm/machine.hpp"
#include "vm/test_engine.hpp"
#include "vm/test_wat.hpp"

#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::vm;
using vm::test::guest_wat;
using vm::test::wat;

namespace {

/// What a message comes to whose number is `value`: the number as text, or the fault's code.
std::string outcome(std::string_view value, std::string_view more = {})
{
    static const auto modules = ModuleCache::open(vm::test::engine(), system_files(), system_random(), {.folder = {}}).value();
    const auto body = fmt::format(
        "(local $n i32) {} local.set $n (i32.store8 (i64.const 900) (i32.add (i32.const 48) (i32.div_u (local.get $n) (i32.const "
        "10))))(i32.store8 (i64.const 901) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10)))) (i64.const 900)",
        value);
    const auto module =
        modules->compile(wat(guest_wat(body, fmt::format("(tag $t (param i32)) (tag $u) (tag $v (param i32 i32)) {}", more))));
    if (!module)
        return std::string(module.error().code) + ": " + module.error().sentence;
    const auto machine = Machine::create(*module, {}).value();
    const auto run = machine->handle({.message_json = "{}", .env_json = "{}", .gas_limit = 10'000'000'000}).value();
    return run.kind == Run::Kind::result ? to_string(run.bytes) : std::string(run.fault_code);
}

}  // namespace

TEST(LegacyExceptions, are_caught_with_their_values)
{
    EXPECT_EQ(outcome("try (result i32) (throw $t (i32.const 42)) catch $t end"), "42");
    EXPECT_EQ(outcome("try (result i32) (throw $v (i32.const 40) (i32.const 2)) catch $v (i32.add) end"), "42");
    EXPECT_EQ(outcome("try (result i32) (i32.const 7) catch $t end"), "07") << "nothing is thrown";
    EXPECT_EQ(outcome("try (result i32) (i32.const 8) end"), "08") << "nothing is caught";
}

TEST(LegacyExceptions, reach_the_first_handler_that_fits)
{
    constexpr std::string_view thrower =
        "(func $f (param i32) (if (i32.eqz (local.get 0)) (then (throw $u)))(if (i32.eq (local.get 0) (i32.const 1)) (then "
        "(throw $t (i32.const 11))))(if (i32.eq (local.get 0) (i32.const 2)) (then (throw $v (i32.const 1) (i32.const 2)))))";
    const auto caught = [&](int which) {
        return outcome(fmt::format("try (result i32) (call $f (i32.const {})) (i32.const 99) catch $t catch $u (i32.const 22) "
                                   "catch_all (i32.const 33) end",
                           which),
            thrower);
    };
    EXPECT_EQ(caught(0), "22");
    EXPECT_EQ(caught(1), "11");
    EXPECT_EQ(caught(2), "33");
    EXPECT_EQ(caught(3), "99");
}

TEST(LegacyExceptions, are_thrown_again_from_any_handler_around)
{
    EXPECT_EQ(outcome("try (result i32) try (result i32) (throw $t (i32.const 5)) catch_all (rethrow 0) end catch $t end"), "05");
    EXPECT_EQ(outcome("try (result i32) try (result i32) (throw $t (i32.const 6)) catch $t drop try (result i32) (throw $u) "
                      "catch_all (rethrow 1) end end catch $t catch_all (i32.const 77) end"),
        "06");
    EXPECT_EQ(outcome("try (result i32) try (result i32) (throw $t (i32.const 6)) catch $t drop (throw $u) end catch $t catch $u "
                      "(i32.const 44) end"),
        "44")
        << "a handler's own exception goes on outwards";
}

TEST(LegacyExceptions, skip_the_tries_that_they_are_delegated_past)
{
    // To the try around, past one in between, and from inside a handler.
    EXPECT_EQ(outcome("try (result i32) try (result i32) (throw $t (i32.const 9)) delegate 0 catch $t end"), "09");
    EXPECT_EQ(outcome("try $out (result i32) try (result i32) try (result i32) (throw $t (i32.const 9)) delegate $out catch $t "
                      "drop (i32.const 55) end catch $t end"),
        "09");
    EXPECT_EQ(outcome("try (result i32) try $in (result i32) (throw $u) catch $u try (result i32) (throw $t (i32.const 9)) "
                      "delegate $in catch $t drop (i32.const 66) end catch $t end"),
        "09");
    EXPECT_EQ(outcome("try (result i32) try (result i32) (i32.const 3) delegate 0 catch $t end"), "03");
    EXPECT_EQ(
        outcome("try (result i32) (block $b (result i32) try (result i32) (throw $t (i32.const 9)) delegate $b) catch $t end"),
        "09")
        << "a block hands it on";
}

TEST(LegacyExceptions, leave_a_function_that_delegates_to_its_caller)
{
    constexpr std::string_view more =
        "(func $g (result i32) try (result i32) try (result i32) (throw $t (i32.const 12)) delegate 1 catch $t drop (i32.const "
        "88) end)(func $h (result i32) try (result i32) (i32.const 14) delegate 0)";
    EXPECT_EQ(outcome("try (result i32) (call $g) catch $t end", more), "12");
    EXPECT_EQ(outcome("(call $h)", more), "14");
    EXPECT_EQ(outcome("(call $g)", more), errors::trap_exception);
}

TEST(LegacyExceptions, leave_branches_where_they_led)
{
    EXPECT_EQ(outcome("(block $b (result i32) try (result i32) (br $b (i32.const 21)) catch_all (i32.const 0) end)"), "21");
    EXPECT_EQ(outcome("try $y (result i32) (throw $u) catch $u (br $y (i32.const 23)) catch_all (i32.const 1) end"), "23");
    EXPECT_EQ(outcome("(call $loop)", R"((func $loop (result i32) (local $i i32)
        (loop $l try (throw $t (local.get $i)) catch $t (local.set $i (i32.add (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 31))) end)
        (local.get $i)))"),
        "31");
    EXPECT_EQ(outcome("(call $table (i32.const 1))", R"((func $table (param i32) (result i32)
        (block $two (block $one try (br_table $one $two $one (local.get 0)) catch_all end) (return (i32.const 1))) (i32.const 2)))"),
        "02");
    EXPECT_EQ(
        outcome("(call $return)", "(func $return (result i32) try (return (i32.const 17)) catch_all end (i32.const 1))"), "17");
}

TEST(LegacyExceptions, do_not_use_up_the_call_depth)
{
    EXPECT_EQ(
        outcome("(call $many)",
            R"((func $deep (param i32) (if (i32.eqz (local.get 0)) (then (throw $u))) (call $deep (i32.sub (local.get 0) (i32.const 1))))
        (func $many (result i32) (local $i i32)
            (loop $l try (call $deep (i32.const 200)) catch $u end (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 2000))))
            (i32.const 64)))"),
        "64");
}
