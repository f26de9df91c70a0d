// The rewriting pass (shim/src/rewrite.rs), seen from outside: what it refuses, and that what it lets through is
// deterministic. What its code does is seen by running it: machine_test.cpp.

#include "vm/native.hpp"
#include "vm/test_wat.hpp"

#include <gmock/gmock.h>
#include <set>

using namespace altiplano;
using vm::test::guest_wat;
using vm::test::wat;

namespace {

struct Outcome {
    Buffer bytes{};
    std::string code{};
    std::string sentence{};
};

Outcome rewrite(Bytes wasm, altiplano_kind kind = ALTIPLANO_GUEST)
{
    const vm::Rewritten rewritten(wasm, kind, ALTIPLANO_GAS_BY_MODULE, false);
    const auto bytes = rewritten.bytes();
    Outcome outcome;
    if (bytes) {
        outcome.bytes = to_buffer(*bytes);
    } else {
        outcome.code = bytes.error().code;
        outcome.sentence = bytes.error().sentence;
    }
    return outcome;
}

struct Refused {
    const char* name;
    const char* text;
    const char* code;
    const char* says;
};
void PrintTo(const Refused& row, std::ostream* out)
{
    *out << row.name;
}

class Rewrite : public testing::TestWithParam<Refused> { };

}  // namespace

TEST_P(Rewrite, refuses_with_a_code_and_says_what_it_found)
{
    const auto outcome = rewrite(wat(GetParam().text));
    EXPECT_EQ(outcome.code, GetParam().code) << outcome.sentence;
    EXPECT_THAT(outcome.sentence, testing::HasSubstr(GetParam().says));
    EXPECT_TRUE(outcome.bytes.empty());
}

INSTANTIATE_TEST_SUITE_P(modules, Rewrite,
    testing::Values(Refused{"component", "(component)", "module.component", "component"},
        Refused{"no_memory", "(module)", "module.no_memory", "no memory"},
        Refused{"shared_memory", "(module (memory 1 2 shared))", "module.threads", "threads"},
        Refused{"atomics", "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))", "module.threads", "threads"},
        Refused{"two_memories", "(module (memory 1) (memory 1))", "module.multi_memory", "memories"},
        Refused{"imported_memory", "(module (import \"env\" \"memory\" (memory 1)))", "module.imported_memory", "env.memory"},
        Refused{
            "imported_table", "(module (import \"env\" \"t\" (table 1 funcref)) (memory 1))", "module.imported_state", "env.t"},
        Refused{"imported_global", "(module (import \"env\" \"g\" (global i32)) (memory 1))", "module.imported_state", "env.g"},
        Refused{"imported_tag", "(module (import \"env\" \"x\" (tag)) (memory 1))", "module.imported_state", "env.x"},
        Refused{"table_set", "(module (memory 1) (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))",
            "module.table_mutation", "TableSet"},
        Refused{"table_grow", "(module (memory 1) (table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1)))))",
            "module.table_mutation", "TableGrow"},
        Refused{"table_fill",
            "(module (memory 1) (table 1 funcref) (func (table.fill (i32.const 0) (ref.null func) (i32.const 1))))",
            "module.table_mutation", "TableFill"},
        Refused{"table_copy",
            "(module (memory 1) (table 1 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 0))))",
            "module.table_mutation", "TableCopy"},
        Refused{"table_init",
            "(module (memory 1) (table 1 funcref) (elem $e func) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const "
            "0))))",
            "module.table_mutation", "TableInit"},
        Refused{"elem_drop", "(module (memory 1) (elem $e func) (func (elem.drop $e)))", "module.table_mutation", "ElemDrop"},
        Refused{"data_drop", "(module (memory 1) (data $d \"x\") (func (data.drop $d)))", "module.segment_mutation",
            "drops data segment 0"},
        Refused{"init_of_active",
            "(module (memory 1) (data $d (i32.const 0) \"x\") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))))",
            "module.segment_mutation", "active data segment 0"},
        Refused{"legacy_exceptions",
            "(module (memory 1) (func (result i32 i32) try (result i32 i32) (i32.const 1) (i32.const 2) catch_all unreachable "
            "end))",
            "module.legacy_exceptions", "exnref"},
        Refused{"gc", "(module (memory 1) (type (struct)))", "module.feature", "garbage-collected"},
        Refused{"page_sizes", "(module (memory 1 (pagesize 1)))", "module.feature", "page sizes"},
        Refused{
            "reference_global", "(module (memory 1) (global (mut funcref) (ref.null func)))", "module.hidden_state", "global 0"},
        Refused{
            "reserved_export", "(module (memory (export \"altiplano:memory\") 1))", "module.reserved_name", "altiplano:memory"},
        Refused{"reserved_import", "(module (import \"altiplano\" \"check_write\" (func (param i64 i64))) (memory 1))",
            "module.reserved_name", "check_write"},
        Refused{"large_table", "(module (memory 1) (table 1000001 funcref))", "module.over_limit", "1000001"}),
    [](const auto& row) { return row.param.name; });

TEST(RewriteBytes, refuses_what_is_not_wasm_and_what_is_cut_short_at_every_byte)
{
    EXPECT_EQ(rewrite({}).code, "module.not_wasm");
    EXPECT_EQ(rewrite(as_bytes("GGUF and then some")).code, "module.not_wasm");
    const auto whole = wat(guest_wat("(i64.const 8)", "(data (i64.const 8) \"{}\")"));
    // A cut between two sections can leave a module that is whole, only smaller.
    std::set<std::size_t> between;
    for (std::size_t at = 8; at < whole.size();) {
        between.insert(at);
        std::size_t size = 0;
        std::size_t next = at + 1;
        for (unsigned shift = 0;; shift += 7) {
            const auto byte = std::to_integer<std::size_t>(whole[next++]);
            size |= (byte & 0x7f) << shift;
            if (byte < 0x80)
                break;
        }
        at = next + size;
    }
    for (std::size_t length = 8; length < whole.size(); ++length) {
        const auto cut = rewrite(Bytes(whole).first(length));
        if (!between.contains(length)) {
            EXPECT_FALSE(cut.code.empty()) << length;
        }
    }
}

TEST(RewriteBytes, never_crashes_on_a_changed_byte_and_its_output_is_wasm_or_a_refusal)
{
    auto bytes = wat(guest_wat("(call $deep (i32.const 3)) (i64.const 8)",
        "(tag $t) (func $deep (param i32) (block $b (try_table (catch $t $b) (call $deep (local.get 0)))))"
        "(data (i64.const 8) \"{}\") (func $fill (memory.fill (i64.const 0) (i32.const 1) (i64.const 9)))"));
    for (std::size_t i = 0; i < bytes.size(); ++i)
        for (const auto flip : {std::byte{0x01}, std::byte{0x80}, std::byte{0xff}}) {
            bytes[i] ^= flip;
            const auto outcome = rewrite(bytes);
            EXPECT_NE(outcome.code.empty(), outcome.bytes.empty());
            bytes[i] ^= flip;
        }
}

TEST(RewriteBytes, never_crashes_on_a_changed_byte_of_legacy_exceptions)
{
    auto bytes = wat(guest_wat("(call $deep (i32.const 3)) (i64.const 8)",
        "(tag $t (param i32)) (func $deep (param i32) try $o try (call $deep (local.get 0)) delegate $o try (throw $t (i32.const "
        "1)) "
        "catch $t drop rethrow 0 end catch $t drop (br 0) catch_all end)"));
    ASSERT_EQ(rewrite(bytes).code, "");
    for (std::size_t i = 0; i < bytes.size(); ++i)
        for (const int flip : {1, 2, 4, 8, 16, 64, 128, 255}) {
            bytes[i] ^= std::byte(flip);
            const auto outcome = rewrite(bytes);
            EXPECT_NE(outcome.code.empty(), outcome.bytes.empty());
            bytes[i] ^= std::byte(flip);
        }
}

TEST(RewriteBytes, writes_the_same_bytes_each_time)
{
    const auto module = wat(guest_wat("(i64.const 8)",
        "(data (i64.const 8) \"{}\") (func (export \"g\") (memory.fill (i64.const 0) (i32.const 1) (i64.const 9)))"));
    const auto once = rewrite(module);
    ASSERT_EQ(once.code, "") << once.sentence;
    EXPECT_EQ(once.bytes, rewrite(module).bytes);
    // Its own output is refused: the names that it gives are reserved.
    EXPECT_EQ(rewrite(once.bytes).code, "module.reserved_name");
}

TEST(RewriteBytes, leaves_out_what_runs_only_while_the_stack_is_put_away_unless_the_format_does_that)
{
    const auto module = wat(guest_wat("(if (global.get $asleep) (then (call $gone))) (i64.const 8)",
        "(global $asleep (mut i32) (i32.const 0)) (func $gone (memory.fill (i64.const 0) (i32.const 1) (i64.const 9)))"
        "(func (export \"asyncify_start_unwind\") (param i64) (global.set $asleep (i32.const 1)))"));
    const auto guest = rewrite(module);
    ASSERT_EQ(guest.code, "") << guest.sentence;
    EXPECT_THAT(to_string(guest.bytes), testing::Not(testing::HasSubstr("asyncify")));
    const auto metered = rewrite(module, ALTIPLANO_METERED);
    ASSERT_EQ(metered.code, "") << metered.sentence;
    EXPECT_THAT(to_string(metered.bytes), testing::HasSubstr("asyncify_start_unwind"));
}

TEST(RewriteBytes, keeps_a_global_that_somebody_may_write)
{
    // The same module with one more way to the writer has as many writes as before, and is longer than with none.
    const auto length_with = [](std::string_view more) {
        const auto outcome = rewrite(wat(guest_wat("(if (global.get $g) (then (return (i64.const 9)))) (i64.const 8)",
            std::string("(global $g (mut i32) (i32.const 0)) (func $writes (global.set $g (i32.const 1)))")
                + std::string(more))));
        EXPECT_EQ(outcome.code, "") << outcome.sentence;
        return outcome.bytes.size();
    };
    const auto settled = length_with("");
    for (const auto* way : {"(export \"w\" (func $writes))", "(func (export \"w\") (call $writes))",
             "(func (export \"w\") (return_call $writes))", "(table 1 funcref) (elem (i32.const 0) $writes)",
             "(global (export \"w\") funcref (ref.func $writes))", "(export \"w\" (global $g))"})
        EXPECT_GT(length_with(way), settled + 30) << way;
}
