#include "vm/module.hpp"

#include "vm/errors.hpp"
#include "vm/machine.hpp"
#include "vm/test_wat.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

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

class Cache : public testing::Test {
protected:
    void SetUp() override { std::filesystem::remove_all(folder); }
    void TearDown() override { std::filesystem::remove_all(folder); }
    std::unique_ptr<ModuleCache> open() const
    {
        return ModuleCache::open(engine(), system_files(), system_random(), {.folder = folder}).value();
    }
    Path entry() const
    {
        const auto names = system_files().list(folder).value();
        for (const auto& name : names)
            if (name != "key")
                return folder / name;
        return {};
    }
    const Path folder = Path(testing::TempDir()) / ("altiplano-modules-" + std::to_string(getpid()));
    const Buffer module = wat(guest_wat("(i64.const 8)", "(data (i64.const 8) \"true\")"));
    const Buffer evil = wat(guest_wat("(i64.const 8)", "(data (i64.const 8) \"evil\")"));
};

std::string answer(const std::shared_ptr<const Module>& module)
{
    auto machine = Machine::create(module, {}).value();
    return to_string(machine->handle({.message_json = "{}", .env_json = "{}", .gas_limit = 1'000'000})->bytes);
}

std::string refusal(std::string_view text)
{
    auto cache = ModuleCache::open(engine(), system_files(), system_random(), {.folder = {}}).value();
    const auto module = cache->compile(wat(text));
    return module ? "" : std::string(module.error().code) + ": " + module.error().sentence;
}

}  // namespace

TEST_F(Cache, loads_what_it_compiled_before)
{
    EXPECT_EQ(answer(open()->compile(module).value()), "true");
    auto again = open();
    EXPECT_EQ(answer(again->compile(module).value()), "true");
    EXPECT_EQ(again->loaded(), 1U);
    EXPECT_EQ(again->rejected(), 0U);
}

TEST_F(Cache, keeps_its_folder_and_key_to_the_owner)
{
    EXPECT_TRUE(open()->compile(module));
    using std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(folder).permissions(), perms::owner_all);
    EXPECT_EQ(std::filesystem::status(folder / "key").permissions(), perms::owner_read | perms::owner_write);
}

TEST_F(Cache, compiles_again_whatever_byte_of_an_entry_is_changed)
{
    EXPECT_TRUE(open()->compile(module));
    const auto path = entry();
    const auto good = read_file(system_files(), path).value();
    const auto end = good.size();  // of the magic, before which stands the MAC
    std::vector<std::size_t> places{0, end - 49, end - 48, end - 17, end - 16, end - 1};
    for (std::size_t i = 48; i < end; i += end / 20)
        places.push_back(i);
    for (const auto place : places) {
        auto bad = good;
        bad[place] ^= std::byte{1};
        ASSERT_TRUE(write_file(system_files(), path, bad));
        auto cache = open();
        EXPECT_EQ(answer(cache->compile(module).value()), "true");
        EXPECT_EQ(cache->rejected(), 1U) << place;
        EXPECT_EQ(cache->loaded(), 0U);
        EXPECT_EQ(read_file(system_files(), path).value(), good) << "written anew";
    }
}

TEST_F(Cache, compiles_again_when_an_entry_is_cut_or_empty)
{
    EXPECT_TRUE(open()->compile(module));
    const auto path = entry();
    const auto good = read_file(system_files(), path).value();
    for (const auto length : {std::size_t{0}, std::size_t{10}, std::size_t{48}, good.size() - 1}) {
        ASSERT_TRUE(write_file(system_files(), path, Bytes(good).first(length)));
        auto cache = open();
        EXPECT_EQ(answer(cache->compile(module).value()), "true");
        EXPECT_EQ(cache->rejected(), 1U);
    }
}

TEST_F(Cache, never_loads_another_modules_code_under_this_ones_name)
{
    EXPECT_TRUE(open()->compile(evil));
    const auto from = entry();
    const auto code = read_file(system_files(), from).value();
    ASSERT_TRUE(system_files().remove(from));
    EXPECT_TRUE(open()->compile(module));
    // Written by this node, with its key, and yet of another module.
    ASSERT_TRUE(write_file(system_files(), entry(), code));
    auto cache = open();
    EXPECT_EQ(answer(cache->compile(module).value()), "true");
    EXPECT_EQ(cache->rejected(), 1U);
}

TEST_F(Cache, never_loads_what_another_node_wrote)
{
    EXPECT_TRUE(open()->compile(module));
    Buffer other_key(32, std::byte{7});
    ASSERT_TRUE(write_file(system_files(), folder / "key", other_key));
    auto cache = open();
    EXPECT_EQ(answer(cache->compile(module).value()), "true");
    EXPECT_EQ(cache->rejected(), 1U);
    // A key that is no key is replaced.
    ASSERT_TRUE(write_file(system_files(), folder / "key", as_bytes("short")));
    auto fresh = open();
    EXPECT_EQ(answer(fresh->compile(module).value()), "true");
    EXPECT_EQ(fresh->loaded(), 0U);
}

TEST_F(Cache, holds_a_module_once_while_it_is_in_use)
{
    auto cache = open();
    const auto one = cache->compile(module).value();
    EXPECT_EQ(cache->compile(module).value(), one);
    EXPECT_EQ(cache->loaded(), 0U);
}

TEST(Compile, names_the_import_that_nobody_answers)
{
    EXPECT_THAT(refusal("(module (import \"env\" \"launch\" (func)) (memory 1))"), testing::StartsWith("module."));
    const auto text = refusal(guest_wat("(i64.const 8)", "", "(import \"env\" \"invoke_vii\" (func (param i32 i32 i32)))"));
    EXPECT_THAT(text, testing::AllOf(testing::StartsWith("module.unknown_import"), testing::HasSubstr("env.invoke_vii")));
}

TEST(Compile, refuses_an_import_of_another_type)
{
    EXPECT_THAT(refusal(guest_wat(
                    "(i64.const 8)", "", "(import \"wasi_snapshot_preview1\" \"fd_close\" (func (param i64) (result i32)))")),
        testing::AllOf(testing::StartsWith("module.bad_import"), testing::HasSubstr("(i64) -> (i32)")));
    EXPECT_THAT(refusal(guest_wat("(i64.const 8)", "", "(import \"wasi_snapshot_preview1\" \"fd_close\" (func (param i32)))")),
        testing::StartsWith("module.bad_import"));
    // Pointers of a wasm64 guest are i64.
    EXPECT_THAT(refusal(guest_wat("(i64.const 8)", "",
                    "(import \"wasi_snapshot_preview1\" \"random_get\" (func (param i32 i32) (result i32)))")),
        testing::StartsWith("module.bad_import"));
}

// The engine's C interface ends the program when it is asked for the kind of such a type; fuzzing found it.
TEST(Compile, refuses_vectors_and_references_where_the_host_passes_numbers)
{
    for (const auto* type : {"v128", "externref", "exnref"}) {
        const auto import = fmt::format("(import \"wasi_snapshot_preview1\" \"fd_close\" (func (param {}) (result i32)))", type);
        EXPECT_THAT(refusal(guest_wat("(i64.const 8)", "", import)),
            testing::AllOf(testing::StartsWith("module.bad_import"),
                testing::HasSubstr(std::string_view(type) == "v128" ? "(v128) -> (i32)" : "(reference) -> (i32)")));
        const auto unknown = fmt::format("(import \"env\" \"invoke_vi\" (func (param i32 {})))", type);
        EXPECT_THAT(refusal(guest_wat("(i64.const 8)", "", unknown)), testing::StartsWith("module.unknown_import"));
        auto text = guest_wat("(i64.const 8)");
        const std::string_view exported = "(func (export \"free\") (param i64) (global.set $heap (i64.const 49152)))";
        text.replace(text.find(exported), exported.size(), fmt::format("(func (export \"free\") (param {}))", type));
        EXPECT_THAT(refusal(text), testing::StartsWith("module.missing_export"));
    }
}

TEST(Compile, accepts_a_function_imported_twice)
{
    EXPECT_EQ(refusal(guest_wat("(i64.const 8)", "",
                  "(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))) (import \"wasi_snapshot_preview1\" "
                  "\"sched_yield\" (func (result i32)))")),
        "");
}

TEST(Compile, refuses_a_module_without_the_exports_of_the_abi)
{
    EXPECT_THAT(refusal("(module (memory i64 1))"), testing::StartsWith("module.missing_export"));
    EXPECT_THAT(refusal("(module (memory i64 1) (func (export \"malloc\") (param i64) (result i64) (i64.const 0)) (func (export "
                        "\"free\") (param i64)) (func (export \"handle\") (param i64) (result i64) (i64.const 0)))"),
        testing::AllOf(testing::StartsWith("module.missing_export"), testing::HasSubstr("handle")));
    EXPECT_THAT(refusal(guest_wat("(i64.const 8)", "(global (export \"_initialize\") i32 (i32.const 0))")),
        testing::StartsWith("module.missing_export"));
}

TEST(Compile, refuses_a_memory_that_starts_above_the_ceiling)
{
    EXPECT_THAT(refusal(guest_wat("(i64.const 8)", "", "", "i64 16777217")), testing::StartsWith("module.over_limit"));
}
