#include "announced/errors.hpp"
#include "announced/extension.hpp"
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "base/test_folder.hpp"
#include "vm/errors.hpp"
#include "vm/machine.hpp"
#include "vm/module.hpp"
#include "vm/test_map_extension.hpp"
#include "vm/test_wat.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace altiplano::announced {
namespace {

using vm::test::guest_wat;
using vm::test::wat;

/// sum(at, bytes, scratch, scratch bytes): of the bytes, added up on its stack; spin never ends; hurt leaves the memory.
const Buffer& reference()
{
    static const auto wasm = wat(R"((module
        (import "env" "memory" (memory i64 0))
        (global (export "__stack_pointer") (mut i64) (i64.const 0))
        (func (export "sum") (param $at i64) (param $n i64) (param i64 i64) (result i64)
            (i64.store (i64.sub (global.get 0) (i64.const 8)) (i64.const 0))
            (block $done (loop $next
                (br_if $done (i64.eqz (local.get $n)))
                (i64.store (i64.sub (global.get 0) (i64.const 8))
                    (i64.add (i64.load (i64.sub (global.get 0) (i64.const 8))) (i64.load8_u (local.get $at))))
                (local.set $at (i64.add (local.get $at) (i64.const 1)))
                (local.set $n (i64.sub (local.get $n) (i64.const 1)))
                (br $next)))
            (i64.load (i64.sub (global.get 0) (i64.const 8))))
        (func (export "fill") (param $at i64) (param $n i64) (param i64 i64) (result i64)
            (memory.fill (local.get $at) (i32.const 7) (local.get $n)) (i64.const 5))
        (func (export "spin") (param i64 i64) (result i64) (loop $l (br $l)) (i64.const 0))
        (func (export "hurt") (param i64 i64) (result i64) (i64.load (i64.const -8)))
        (func $deep (export "deep") (param i64 i64) (result i64)
            (i64.add (call $deep (local.get 0) (local.get 1)) (i64.const 1)))
        (global $kept (mut i64) (i64.const 3))
        (func (export "count") (param i64 i64) (result i64)
            (global.set $kept (i64.add (global.get $kept) (i64.const 1))) (global.get $kept))))");
    return wasm;
}
item::Tags tags()
{
    return {{"Type", "Extension"}, {"Name", "adder"}, {"Version", "1"}, {"Function", "sum/4 = 100 + 2*2"},
        {"Function", "spin/2 = 10"}, {"Function", "hurt/2=10"}, {"Function", "fill/4 = 100 + 2*2"},
        {"Function", "deep/2 = 1000000"}, {"Function", "count/2 = 10"}};
}

/// A page of 'x' at data/one.
class OneFile final : public vm::GuestFiles {
    class Page final : public vm::GuestFile {
        std::uint64_t size() const override { return 4096; }
        Result<void> read_at(std::uint64_t, std::span<std::byte> into) override
        {
            std::ranges::fill(into, std::byte{'x'});
            return {};
        }
        ItemId item() const override { return ItemId(sha256(as_bytes("x"))); }
    };

public:
    Result<std::unique_ptr<vm::GuestFile>> open(std::string_view) override { return std::make_unique<Page>(); }
    Result<std::unique_ptr<vm::GuestFile>> mapped_item(ItemId) override { return std::make_unique<Page>(); }
};

class AnAnnouncedExtension : public testing::Test {
protected:
    /// Runs one message of a guest whose handle calls a function, and answers what it gave.
    Result<vm::Run> run(std::string_view call, const std::shared_ptr<Accelerator>& accelerator = nullptr)
    {
        const auto engine = vm::Engine::create().value();
        const auto cache = vm::ModuleCache::open(engine, system_files(), system_random(),
            {.folder = folder / "modules",
                .extensions = {extension(read(tags(), reference()).value(), accelerator),
                    std::make_shared<vm::test::MapExtension>()}})
                               .value();
        const auto guest = guest_wat(call, "(data (i64.const 16) \"{\\22a\\22:0}\\00\") (data (i64.const 64) \"data/one\")",
            "(import \"adder\" \"sum\" (func $sum (param i64 i64 i64 i64) (result i64)))"
            "(import \"adder\" \"spin\" (func $spin (param i64 i64) (result i64)))"
            "(import \"adder\" \"fill\" (func $fill (param i64 i64 i64 i64) (result i64)))"
            "(import \"wasi_snapshot_preview1\" \"path_open\" (func $path_open (param i32 i32 i64 i64 i32 i64 i64 i32 i64) "
            "(result i32)))"
            "(import \"altiplano\" \"map\" (func $map (param i32 i64 i64 i64) (result i32)))"
            "(import \"adder\" \"deep\" (func $deep (param i64 i64) (result i64)))"
            "(import \"adder\" \"count\" (func $count (param i64 i64) (result i64)))"
            "(import \"adder\" \"hurt\" (func $hurt (param i64 i64) (result i64)))");
        auto module = cache->compile(wat(guest));
        if (!module)
            return std::unexpected(module.error());
        auto machine = vm::Machine::create(*module, {.memory_bytes = 1 << 22});
        if (!machine)
            return std::unexpected(machine.error());
        return (*machine)->handle({.message_json = "{}", .env_json = "{}", .gas_limit = 1'000'000'000, .files = &files});
    }
    TestFolder folder;
    OneFile files;
};

// Native code for `sum` and `fill`: right, and wrong in each way that there is.
enum class Wrong { nowhere, in_result, in_a_byte, in_another_place, in_nothing_written, in_answering };
Wrong wrong = Wrong::nowhere;
std::uint64_t native_calls = 0;

int native_sum(altiplano_guest* guest, const std::uint64_t* arguments, std::uint64_t* result)
{
    if (arguments[0] > guest->memory_bytes || arguments[1] > guest->memory_bytes - arguments[0]) {
        *result = 0;
        return wrong == Wrong::in_answering ? 0 : 1;
    }
    ++native_calls;
    *result = wrong == Wrong::in_result ? 1 : 0;
    for (std::uint64_t i = 0; i < arguments[1]; ++i)
        *result += guest->memory[arguments[0] + i];
    return 0;
}
int native_fill(altiplano_guest* guest, const std::uint64_t* arguments, std::uint64_t* result)
{
    std::vector<std::uint8_t> bytes(arguments[1], 7);
    if (wrong == Wrong::in_a_byte)
        bytes.back() = 8;
    *result = 5;
    ++native_calls;
    if (wrong == Wrong::in_nothing_written)
        return 0;
    return guest->write(guest, arguments[0], bytes.data(), bytes.size())
        + (wrong == Wrong::in_another_place ? guest->write(guest, 4000, "x", 1) : 0);
}
constexpr altiplano_function native_functions[] = {{"sum", native_sum}, {"fill", native_fill}};
constexpr altiplano_accelerator native_code{ALTIPLANO_EXTENSION_ABI, 2, native_functions};

std::shared_ptr<Accelerator> accelerator()
{
    native_calls = 0;
    return Accelerator::of(&native_code, read(tags(), reference()).value(), 1).value();
}
/// 200 times; traps where an answer is not what the reference module gives.
constexpr std::string_view many_calls = R"((local $i i64)
    (loop $again
        (if (i64.ne (call $sum (i64.const 18) (i64.const 1) (i64.const 65536) (i64.const 65536)) (i64.const 97)) (then (unreachable)))
        (i64.store8 (i64.const 4000) (i64.const 3))
        (if (i64.ne (call $fill (i64.const 5000) (i64.const 9) (i64.const 65536) (i64.const 65536)) (i64.const 5)) (then (unreachable)))
        (if (i64.ne (i64.load (i64.const 5001)) (i64.const 0x0707070707070707)) (then (unreachable)))
        (if (i64.ne (i64.load8_u (i64.const 4000)) (i64.const 3)) (then (unreachable)))
        (i64.store8 (i64.const 5008) (i64.const 0))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br_if $again (i64.lt_u (local.get $i) (i64.const 200))))
    (i64.const 16))";

std::string_view refusal(const item::Tags& tags, Bytes wasm = reference())
{
    const auto found = read(tags, wasm);
    return found ? std::string_view("read") : found.error().code;
}

}  // namespace

TEST(AnAnnouncement, is_read_from_an_item)
{
    const auto found = read(tags(), reference()).value();
    EXPECT_EQ(found.name, "adder");
    ASSERT_EQ(found.functions.size(), 6U);
    EXPECT_EQ(found.functions[0].cost(std::vector<std::uint64_t>{0, 7, 0, 0}), 114U);
    EXPECT_EQ(found.functions[0].cost(std::vector<std::uint64_t>{0, UINT64_MAX, 0, 0}), UINT64_MAX);
}

TEST(AnAnnouncement, has_another_specification_when_anything_of_it_changes)
{
    const auto first = read(tags(), reference()).value().specification;
    const item::Tags other{{"Type", "Extension"}, {"Name", "adder"}, {"Version", "2"}, {"Function", "sum/4 = 100 + 2*2"}};
    EXPECT_NE(read(other, reference()).value().specification, first);
    auto longer = reference();
    append(longer, wat("(module (import \"env\" \"memory\" (memory i64 0)))"));
    EXPECT_EQ(refusal(tags(), longer), errors::bad_module);
}

TEST(AnAnnouncement, is_refused_for_each_thing_that_is_wrong)
{
    EXPECT_EQ(refusal({{"Name", "adder"}, {"Version", "1"}, {"Function", "a/2 = 1"}}), errors::bad_announcement);
    for (const auto* name : {"", "Adder", "tensor", "wasi_snapshot_preview1", "a b", "1a"})
        EXPECT_EQ(
            refusal({{"Type", "Extension"}, {"Name", name}, {"Version", "1"}, {"Function", "a/2 = 1"}}), errors::bad_announcement)
            << name;
    for (const auto* line : {"", "a", "a/2", "a/1 = 1", "a/9 = 1", "A/2 = 1", "a/2 = 0", "a/2 = -1", "a/2 = 1 + 2",
             "a/2 = 1 + 2*3", "a/2 = 1*1", "a/2 = 1 + 1*0", "a/2 = x", "a=2/1", "a/2 = 99999999999999999999"})
        EXPECT_EQ(
            refusal({{"Type", "Extension"}, {"Name", "adder"}, {"Version", "1"}, {"Function", line}}), errors::bad_announcement)
            << line;
    EXPECT_EQ(refusal({{"Type", "Extension"}, {"Name", "adder"}, {"Version", "1"}}), errors::bad_announcement);
}

TEST(AReferenceModule, has_nothing_that_acts_when_it_is_instantiated)
{
    for (const auto* text :
        {"(module)", "(module (memory i64 1))", "(module (import \"env\" \"memory\" (memory i64 0)) (data (i64.const 0) \"x\"))",
            "(module (import \"env\" \"memory\" (memory i64 0)) (func $f) (start $f))",
            "(module (import \"env\" \"other\" (func)))", "(module (import \"env\" \"memory\" (memory i64 0)) (memory i64 1))",
            "(module (import \"env\" \"memory\" (memory i64 0)) (table 2 funcref) (func (table.set (i32.const 0) (ref.null "
            "func))))",
            "(module (import \"env\" \"memory\" (memory i64 0)) (global (mut funcref) (ref.null func)))"})
        EXPECT_EQ(refusal(tags(), wat(text)), errors::bad_module) << text;
    EXPECT_EQ(refusal(tags(), as_bytes("no wasm")), errors::bad_module);
    for (std::size_t length = 0; length < reference().size(); ++length)
        (void)read(tags(), Bytes(reference()).first(length)).has_value();
}

TEST_F(AnAnnouncedExtension, computes_in_the_guests_memory_and_leaves_its_scratch_as_it_was)
{
    // The sum of 'a' and ':' at 18 and 20 is written where the answer's digit stands.
    const auto found = run(R"((i64.store (i64.const 130000) (i64.const 77))
        (if (i64.ne (call $sum (i64.const 18) (i64.const 1) (i64.const 65536) (i64.const 65536)) (i64.const 97)) (then (unreachable)))
        (if (i64.ne (i64.load (i64.const 130000)) (i64.const 77)) (then (unreachable)))
        (if (i64.ne (i64.load (i64.const 131064)) (i64.const 0)) (then (unreachable)))
        (i64.const 16))");
    ASSERT_TRUE(found) << found.error().sentence;
    EXPECT_EQ(found->kind, vm::Run::Kind::result) << found->fault_sentence;
}

TEST_F(AnAnnouncedExtension, ends_whatever_its_module_does)
{
    for (const auto* call : {"(drop (call $spin (i64.const 65536) (i64.const 65536)))",
             "(drop (call $hurt (i64.const 65536) (i64.const 65536)))", "(drop (call $hurt (i64.const 65536) (i64.const 16)))",
             "(drop (call $sum (i64.const -1) (i64.const 4) (i64.const 65536) (i64.const 65536)))"}) {
        const auto found = run(std::string(call) + "(i64.const 16)");
        ASSERT_TRUE(found) << found.error().sentence;
        EXPECT_EQ(found->kind, vm::Run::Kind::guest_fault) << call;
    }
}

TEST_F(AnAnnouncedExtension, fails_its_guest_when_its_calls_are_nested_too_deep)
{
    const auto found = run("(drop (call $deep (i64.const 65536) (i64.const 65536))) (i64.const 16)");
    ASSERT_TRUE(found) << found.error().sentence;
    EXPECT_EQ(found->fault_code, errors::trap_extension);
    EXPECT_EQ(found->fault_sentence, "adder.deep failed");
}

TEST_F(AnAnnouncedExtension, keeps_nothing_from_one_call_to_the_next)
{
    const auto found = run(R"((drop (call $count (i64.const 65536) (i64.const 65536)))
        (if (i64.ne (call $count (i64.const 65536) (i64.const 65536)) (i64.const 4)) (then (unreachable))) (i64.const 16))");
    ASSERT_TRUE(found) << found.error().sentence;
    EXPECT_EQ(found->kind, vm::Run::Kind::result) << found->fault_sentence;
}

TEST_F(AnAnnouncedExtension, fails_its_guest_when_it_writes_to_a_mapped_item)
{
    const std::string mapped = R"(
        (if (call $path_open (i32.const 3) (i32.const 0) (i64.const 64) (i64.const 8) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i64.const 512)) (then (unreachable)))
        (if (call $map (i32.load (i64.const 512)) (i64.const 0) (i64.const 4096) (i64.const 8192)) (then (unreachable)))
        (if (i64.ne (call $sum (i64.const 8192) (i64.const 2) (i64.const 65536) (i64.const 65536)) (i64.const 240)) (then (unreachable))))";
    const auto read_only = run(mapped + "(i64.const 16)");
    ASSERT_TRUE(read_only) << read_only.error().sentence;
    EXPECT_EQ(read_only->kind, vm::Run::Kind::result) << read_only->fault_sentence;
    // In bulk, where the engine's own code writes.
    const auto found =
        run(mapped + "(drop (call $fill (i64.const 8190) (i64.const 9) (i64.const 65536) (i64.const 65536))) (i64.const 16)");
    ASSERT_TRUE(found) << found.error().sentence;
    EXPECT_EQ(found->fault_code, errors::trap_extension) << found->fault_sentence;
}

TEST_F(AnAnnouncedExtension, costs_what_was_announced_before_anything_is_done)
{
    const auto found =
        run("(drop (call $sum (i64.const 0) (i64.const 9000000000) (i64.const 65536) (i64.const 65536))) (i64.const 16)");
    ASSERT_TRUE(found) << found.error().sentence;
    EXPECT_EQ(found->kind, vm::Run::Kind::guest_fault);
}

TEST_F(AnAnnouncedExtension, gives_the_same_with_native_code_that_is_right)
{
    wrong = Wrong::nowhere;
    const auto plain = run(many_calls);
    const auto native = accelerator();
    const auto found = run(many_calls, native);
    ASSERT_TRUE(plain && found);
    EXPECT_EQ(found->kind, vm::Run::Kind::result) << found->fault_sentence;
    EXPECT_EQ(found->gas_used, plain->gas_used);
    EXPECT_FALSE(native->is_dropped());
    EXPECT_EQ(native_calls, 400U);
    // What it leaves to the reference module fails as that fails.
    const auto fault =
        run("(drop (call $sum (i64.const -1) (i64.const 4) (i64.const 65536) (i64.const 65536))) (i64.const 16)", native);
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind, vm::Run::Kind::guest_fault);
    EXPECT_FALSE(native->is_dropped());
}

TEST_F(AnAnnouncedExtension, drops_native_code_that_differs_before_its_answer_counts)
{
    for (const auto one : {Wrong::in_result, Wrong::in_a_byte, Wrong::in_another_place, Wrong::in_nothing_written}) {
        wrong = one;
        const auto native = accelerator();
        const auto found = run(many_calls, native);
        ASSERT_TRUE(found) << found.error().sentence;
        EXPECT_EQ(found->kind, vm::Run::Kind::result) << static_cast<int>(one) << found->fault_sentence;
        EXPECT_TRUE(native->is_dropped()) << static_cast<int>(one);
        EXPECT_LE(native_calls, 2U) << static_cast<int>(one);
    }
    wrong = Wrong::in_answering;
    const auto native = accelerator();
    const auto found =
        run("(drop (call $sum (i64.const -1) (i64.const 4) (i64.const 65536) (i64.const 65536))) (i64.const 16)", native);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->kind, vm::Run::Kind::guest_fault);
    EXPECT_TRUE(native->is_dropped());
    wrong = Wrong::nowhere;
}

TEST(AnAccelerator, compares_the_first_calls_and_some_of_the_later_ones)
{
    const auto native = accelerator();
    std::uint64_t first = 0, later = 0;
    for (std::uint64_t i = 0; i < Accelerator::compared_first; ++i)
        first += native->compares() ? 1U : 0U;
    for (int i = 0; i < 64'000; ++i)
        later += native->compares() ? 1U : 0U;
    EXPECT_EQ(first, Accelerator::compared_first);
    EXPECT_GT(later, 700U);
    EXPECT_LT(later, 1300U);
}

TEST(AnAccelerator, is_refused_when_it_is_none)
{
    const auto what = read(tags(), reference()).value();
    EXPECT_EQ(Accelerator::load("/nowhere.so", what).error().code, errors::bad_accelerator);
    constexpr altiplano_accelerator other{ALTIPLANO_EXTENSION_ABI + 1, 0, nullptr};
    EXPECT_EQ(Accelerator::of(&other, what, 1).error().code, errors::bad_accelerator);
    EXPECT_EQ(Accelerator::of(nullptr, what, 1).error().code, errors::bad_accelerator);
}

}  // namespace altiplano::announced
