// Modules with 64-bit addresses on a memory with 32-bit ones (shim/src/narrow.rs): every answer, fault, sentence and root is that
// of the same module with its addresses compared. All other tests of this room run both ways as well (test_machine.hpp).
#include "vm/engine.hpp"
#include "vm/test_machine.hpp"

#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::vm;
using namespace altiplano::vm::test;

namespace {

std::unique_ptr<ModuleCache> cache(std::uint64_t reservation_bytes)
{
    return ModuleCache::open(Engine::create(reservation_bytes).value(), system_files(), system_random(), {.folder = {}}).value();
}

/// What a message comes to, and what it leaves behind.
std::string all_of(ModuleCache& modules, Bytes wasm, Machine::Limits limits)
{
    const auto machine = Machine::create(modules.compile(wasm).value(), limits).value();
    std::string all;
    for (int i = 0; i < 2; ++i) {
        const auto done = run(*machine);
        all += fmt::format("{} {} {} ", text(done), done.fault_sentence, done.gas_used);
        all += machine->commit().value().text() + "\n";
    }
    return all;
}

void expect_equal(std::string_view body, std::string_view more, const std::string& what, Machine::Limits limits = {},
    std::string_view memory = "i64 2 64")
{
    static const auto narrow = cache(Engine::narrow_reservation_bytes);
    static const auto wide = cache(Engine::small_reservation_bytes);
    const auto wasm = wat(guest_wat(body, more, {}, memory));
    EXPECT_EQ(all_of(*narrow, wasm, limits), all_of(*wide, wasm, limits)) << what;
}

constexpr std::uint64_t places[] = {0, 1024, 65535, 65536, 0x7fff'ffff, 0xffff'ffff, 0x1'0000'0000, 0x1'0000'0400,
    0x7fff'ffff'ffff'ffff, 0x8000'0000'0000'0000, 0xffff'ffff'0000'0400, 0xffff'ffff'ffff'fff8};

struct Way {
    const char* what;
    const char* body;  ///< $a is the address, $v what comes of it
    const char* more = "";
};
void PrintTo(const Way& row, std::ostream* out)
{
    *out << row.what;
}
class Narrow : public testing::TestWithParam<Way> { };

}  // namespace

TEST_P(Narrow, shows_in_nothing)
{
    for (const auto place : places)
        expect_equal(fmt::format("(local $a i64) (local $b i64) (local $v i64) (local $n i32) (local.set $a (i64.const {})) {} "
                                 "(i64.store (i64.const 2048) (local.get $v)) (i64.const 900)",
                         static_cast<std::int64_t>(place), GetParam().body),
            GetParam().more, fmt::format("{:#x}", place));
}

INSTANTIATE_TEST_SUITE_P(all, Narrow,
    testing::Values(Way{"load", "(local.set $v (i64.load offset=8 (local.get $a)))"},
        Way{"load_far_offset", "(local.set $v (i64.load offset=0x200000000 (local.get $a)))"},
        Way{"load_offset_of_32_bits", "(local.set $v (i64.load offset=0xfffffff8 (local.get $a)))"},
        Way{"store", "(i64.store offset=8 (local.get $a) (i64.const 7))"},
        Way{"store_far_offset", "(i64.store offset=0x100000000 (local.get $a) (i64.const 7))"},
        Way{"stores_of_every_kind",
            "(i32.store8 (local.get $a) (i32.const 1)) (i32.store16 offset=2 (local.get $a) (i32.const 2)) (i32.store offset=4 "
            "(local.get $a) (i32.const 3)) (i64.store8 offset=8 (local.get $a) (i64.const 4)) (i64.store16 offset=10 (local.get "
            "$a) "
            "(i64.const 5)) (i64.store32 offset=12 (local.get $a) (i64.const 6)) (f32.store offset=16 (local.get $a) (f32.const "
            "1.5)) (f64.store offset=24 (local.get $a) (f64.const 2.5)) (v128.store offset=32 (local.get $a) (v128.const i64x2 1 "
            "2)) (v128.store32_lane offset=48 1 (local.get $a) (v128.const i64x2 3 4))"},
        Way{"lanes_of_an_address_not_seen_before",
            "(v128.store64_lane 1 (local.get $a) (v128.load32_lane 2 (i64.add (local.get $a) (i64.const 4)) "
            "(v128.const i64x2 3 4)))"},
        Way{"an_address_computed", "(local.set $v (i64.load (i64.add (i64.shl (local.get $a) (i64.const 1)) (i64.const 64))))"},
        Way{"an_address_less_than_nothing", "(local.set $v (i64.load offset=64 (i64.sub (local.get $a) (i64.const 32))))"},
        Way{"addresses_from_memory",
            "(i64.store (i64.const 512) (local.get $a)) (local.set $v (i64.load (i64.load (i64.const 512)))) (local.set $v "
            "(i64.add "
            "(local.get $v) (i64.load (i64.load32_u (i64.const 512)))))"},
        Way{"addresses_cut_to_32_bits",
            "(local.set $v (i64.load8_u (i64.extend_i32_u (i32.wrap_i64 (local.get $a))))) (local.set $b (i64.and (local.get $a) "
            "(i64.const 0xffff))) (local.set $v (i64.load8_u (local.get $b)))"},
        Way{"a_local_looked_at_in_one_arm",
            "(if (i64.lt_u (local.get $a) (i64.const 70000)) (then (i64.store8 (local.get $a) (i64.const 3))) (else (local.set "
            "$n "
            "(i32.const 1)))) (local.set $v (i64.load8_u (local.get $a)))"},
        Way{"a_local_written_in_one_arm",
            "(i64.store8 (local.tee $b (i64.const 600)) (i64.const 3)) (if (i64.gt_u (local.get $a) (i64.const 2000)) (then "
            "(local.set $b (local.get $a)))) (local.set $v (i64.load8_u (local.get $b)))"},
        Way{"a_local_written_before_a_way_out",
            "(local.set $b (i64.const 600)) (block $out (i64.store8 (local.get $b) (i64.const 3)) (local.set $b (local.get $a)) "
            "(br_if "
            "$out (i64.gt_u (local.get $a) (i64.const 2000))) (local.set $b (i64.const 8))) (local.set $v (i64.load8_u "
            "(local.get "
            "$b)))"},
        Way{"a_local_written_in_a_loop",
            "(local.set $b (i64.const 600)) (i64.store8 (local.get $b) (i64.const 1)) (loop $l (local.set $v (i64.add (local.get "
            "$v) "
            "(i64.load8_u (local.get $b)))) (local.set $b (local.get $a)) (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get "
            "$n) "
            "(i32.const 1))) (i32.const 3))))"},
        Way{"a_local_written_in_a_loop_in_a_loop",
            "(local.set $b (i64.const 600)) (i64.store8 (local.get $b) (i64.const 1)) (loop $l (local.set $v (i64.add (local.get "
            "$v) "
            "(i64.load8_u (local.get $b)))) (loop $m (local.set $b (local.get $a)) (br_if $m (i32.const 0))) (br_if $l (i32.lt_u "
            "(local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3))))"},
        Way{"an_operand_that_was_a_local_before_it_was_written",
            "(local.set $b (i64.const 600)) (i64.store8 (local.get $b) (i64.const 1)) (local.set $v (i64.load8_u (local.get "
            "$b))) "
            "(local.set $v (i64.add (local.get $v) (i64.load8_u (local.get $a) ))) (i64.store8 (local.get $b) (i64.load8_u "
            "(local.tee "
            "$b (local.get $a))))"},
        Way{"a_local_thrown_over",
            "(local.set $b (i64.const 600)) (i64.store8 (local.get $b) (i64.const 1)) (block $c (try_table (catch_all $c) "
            "(local.set $b "
            "(local.get $a)) (throw $t))) (local.set $v (i64.load8_u (local.get $b)))",
            "(tag $t)"},
        Way{"a_parameter",
            "(local.set $v (i64.add (call $f (local.get $a)) (call_indirect (type $unary) (local.get $a) (i32.const 0))))",
            "(type $unary (func (param i64) (result i64))) (table 1 funcref) (elem (i32.const 0) $f) (func $f (param i64) "
            "(result i64) "
            "(i64.add (i64.load8_u (local.get 0)) (i64.load8_u offset=8 (local.get 0))))"},
        Way{"copy_to", "(memory.copy (local.get $a) (i64.const 512) (i64.const 16))"},
        Way{"copy_from", "(memory.copy (i64.const 512) (local.get $a) (i64.const 16))"},
        Way{"copy_length", "(memory.copy (i64.const 512) (i64.const 600) (local.get $a))"},
        Way{"copy_nothing", "(memory.copy (local.get $a) (local.get $a) (i64.const 0))"},
        Way{"fill_to", "(memory.fill (local.get $a) (i32.const 5) (i64.const 16))"},
        Way{"fill_length", "(memory.fill (i64.const 512) (i32.const 5) (local.get $a))"},
        Way{"fill_nothing", "(memory.fill (local.get $a) (i32.const 5) (i64.const 0))"},
        Way{"init_to", "(memory.init $d (local.get $a) (i32.const 2) (i32.const 5))", "(data $d \"0123456789\")"},
        Way{"init_beyond", "(memory.init $d (local.get $a) (i32.const 2) (i32.const 9))", "(data $d \"0123456789\")"},
        Way{"code_behind_an_offset_out_of_reach",
            "(block $b (result i64) (drop (br_if $b (i64.const 4) (i64.lt_u (local.get $a) (i64.const 2000)))) (i64.load "
            "offset=0xffffffffffff (i64.const 0)) (i64.store offset=0xffffffffffff (i64.const 0) (i64.const 2)) (i64.const 3) "
            "(i64.add)) (local.set $v)"},
        Way{"two_addresses_among_parameters", "(drop (call $stores (i32.const 9) (local.get $a) (i32.const 0) (local.get $a)))",
            "(func $stores (param i32 i64 i32 i64) (result i32) (i64.store (local.get 3) (local.get 1)) (i32.const 1))"}),
    [](const auto& row) { return row.param.what; });

TEST(NarrowMemory, says_its_size_and_grows_as_a_wide_one_does)
{
    for (const std::int64_t pages : std::initializer_list<std::int64_t>{0, 1, 15, 16, 17, 65534, 65535, 65536, 65537, 262143,
             262144, 262145, 1 << 24, (1 << 24) + 1, 1LL << 32, 1LL << 47, 1LL << 48, -1})
        for (const auto* memory : {"i64 2", "i64 2 64", "i64 2 70000", "i64 2 262144"})
            for (const auto* end : {"", "(unreachable)"})
                for (const auto limit : {std::uint64_t{1} << 20, std::uint64_t{1} << 30, Engine::narrow_memory_bytes_max})
                    expect_equal(fmt::format("(i64.store (i64.const 512) (memory.grow (i64.const {}))) (i64.store (i64.const "
                                             "520) (memory.size)) {} "
                                             "(i64.const 900)",
                                     pages > 17 && pages < 65536 && limit > std::uint64_t{1} << 30 ? 20 : pages, end),
                        {}, fmt::format("{} pages, {} bytes, {}, {}", pages, limit, memory, end), {.memory_bytes = limit},
                        memory);
}

TEST(NarrowMemory, is_not_used_where_a_process_may_have_4_gib)
{
    EXPECT_TRUE(Engine::create(Engine::reservation_for(Engine::narrow_memory_bytes_max)).value()->narrows());
    EXPECT_FALSE(Engine::create(Engine::reservation_for(Engine::narrow_memory_bytes_max + 1)).value()->narrows());
    const auto modules = cache(Engine::narrow_reservation_bytes);
    const auto module = modules->compile(wat(guest_wat("(i64.const 900)", {}, {}, "i64 2"))).value();
    EXPECT_EQ(Machine::create(module, {.memory_bytes = std::uint64_t{4} << 30}).error().code, errors::memory_not_offered);
}
