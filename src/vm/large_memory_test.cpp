// Guests whose memory goes beyond what 32 and 34 bits can address.
#include "base/test_folder.hpp"
#include "memory/errors.hpp"
#include "vm/declared_memory.hpp"
#include "vm/errors.hpp"
#include "vm/machine.hpp"
#include "vm/test_wat.hpp"

#include <cstdio>
#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::vm;
using vm::test::guest_wat;
using vm::test::wat;

namespace {

ModuleCache& modules()
{
    static const auto one = ModuleCache::open(Engine::create(Engine::large_reservation_bytes).value(), system_files(),
        system_random(),
        {.folder = {}}).value();
    return *one;
}

constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr std::uint64_t length = 100 * gib;

/// At each of 2^32, 2^34, 2^36 and in its last page it counts up, every message, and answers with the least of the counts and
/// whether all are equal. The first message makes the memory long enough.
std::string far_counter()
{
    return guest_wat(R"((local $v i64)
        (if (i64.lt_u (memory.size) (i64.const 1638400)) (then (drop (memory.grow (i64.sub (i64.const 1638400) (memory.size))))))
        (call $count (i64.const 4294967296)) (call $count (i64.const 17179869184)) (call $count (i64.const 68719476736))
        (call $count (i64.const 107374182392))
        (local.set $v (i64.load (i64.const 4294967296)))
        (if (i64.ne (local.get $v) (i64.load (i64.const 17179869184))) (then (unreachable)))
        (if (i64.ne (local.get $v) (i64.load (i64.const 68719476736))) (then (unreachable)))
        (if (i64.ne (local.get $v) (i64.load (i64.const 107374182392))) (then (unreachable)))
        (i64.store8 (i64.const 512) (i64.add (i64.const 48) (local.get $v)))
        (i64.const 512))",
        "(func $count (param $at i64) (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1))))", "",
        "i64 2 16777216");
}

std::string answer(Machine& machine)
{
    const auto done = machine.handle({.message_json = "{}", .env_json = "{}", .gas_limit = 1'000'000'000});
    if (!done)
        return std::string(done.error().code) + ": " + done.error().sentence;
    return done->kind == Run::Kind::result ? to_string(done->bytes) : std::string(done->fault_code) + ": " + done->fault_sentence;
}

std::uint64_t resident_bytes()
{
    long pages = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    EXPECT_EQ(std::fscanf(file, "%*d %ld", &pages), 1);
    std::fclose(file);
    return static_cast<std::uint64_t>(pages) * 4096;
}

}  // namespace

TEST(LargeMemory, holds_pages_beyond_4_16_and_64_gib_across_messages_and_restores_with_the_host_s_memory_flat)
{
    const TestFolder folder;
    const auto module = modules().compile(wat(far_counter())).value();
    auto machine = Machine::create(module, {.memory_bytes = UINT64_MAX}).value();
    const auto before = resident_bytes();
    EXPECT_EQ(answer(*machine), "1");
    EXPECT_EQ(machine->memory_bytes(), length);
    Digest root = machine->commit().value();
    EXPECT_EQ(answer(*machine), "2");
    ASSERT_TRUE(machine->roll_back());
    EXPECT_EQ(answer(*machine), "2") << "the first 2 was rolled back";
    root = machine->commit().value();
    EXPECT_LE(machine->describe().used_pages, 16U);

    for (const auto* expected : {"3", "4"}) {
        const auto path = folder / expected;
        ASSERT_TRUE(machine->save(system_files(), path));
        std::vector<std::unique_ptr<File>> layers;
        layers.push_back(system_files().open(path, Files::Mode::read).value());
        EXPECT_LT(layers.back()->stored_bytes().value(), 4U << 20) << "on the disk";
        auto again = Machine::restore(module, {.memory_bytes = UINT64_MAX}, layers, no_files());
        ASSERT_TRUE(again) << again.error().sentence;
        EXPECT_EQ((*again)->root(), root);
        EXPECT_EQ(answer(**again), expected);
        EXPECT_EQ(answer(*machine), expected);
        root = machine->commit().value();
        EXPECT_EQ((*again)->commit().value(), root) << "the one that never slept agrees";
        machine = *std::move(again);
    }
    EXPECT_LT(resident_bytes() - before, std::uint64_t{64} << 20);
}

TEST(LargeMemory, ends_where_the_process_s_own_limit_is_and_says_what_was_needed_and_allowed)
{
    const auto module = modules().compile(wat(far_counter())).value();
    auto machine = Machine::create(module, {.memory_bytes = 50 * gib}).value();
    EXPECT_EQ(answer(*machine),
        "trap.out_of_bounds: the guest used an address outside its memory (it asked for 107374182400 bytes of memory; its "
        "Memory-Limit allows 53687091200)");
    EXPECT_EQ(machine->memory_bytes(), 2U * 65536);
}

TEST(LargeMemory, is_refused_by_an_engine_that_reserves_less)
{
    const auto small = ModuleCache::open(Engine::create(Engine::small_reservation_bytes).value(), system_files(), system_random(),
        {.folder = {}}).value();
    const auto module = small->compile(wat(far_counter())).value();
    EXPECT_EQ(Machine::create(module, {.memory_bytes = UINT64_MAX}).error().code, errors::memory_not_offered);
    EXPECT_TRUE(Machine::create(module, {.memory_bytes = 16 * gib}));
}

TEST(DeclaredMemory, is_read_from_the_front_of_a_module)
{
    EXPECT_EQ(declared_memory_bytes(wat("(module (memory i64 1 3))")), 3U * 65536);
    EXPECT_EQ(declared_memory_bytes(wat("(module (memory 1 3))")), 3U * 65536);
    EXPECT_EQ(declared_memory_bytes(wat("(module (memory 1))")), std::uint64_t{1} << 32);
    EXPECT_EQ(declared_memory_bytes(wat("(module (memory i64 1))")), UINT64_MAX);
    EXPECT_EQ(declared_memory_bytes(wat("(module (memory i64 1 281474976710656))")), UINT64_MAX);
    EXPECT_EQ(declared_memory_bytes(wat("(module)")), UINT64_MAX);
    // Cut anywhere it is no module, and the largest need is assumed.
    const auto whole = wat("(module (memory i64 1 3))");
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_EQ(declared_memory_bytes(Bytes(whole).first(size)), UINT64_MAX) << size;
}
