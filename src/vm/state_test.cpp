#include "vm/test_machine.hpp"

#include "base/hash.hpp"
#include "base/test_folder.hpp"
#include "memory/errors.hpp"

#include <filesystem>
#include <optional>
#include <thread>

using namespace altiplano;
using namespace altiplano::vm;
using namespace altiplano::vm::test;

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

TEST(State, is_the_same_when_roots_are_worked_out_while_the_next_message_runs)
{
    auto plain = machine_of(counter);
    auto machine = machine_of(counter);
    std::optional<std::thread> other;
    Digest root = machine->root();
    Digest expected = root;
    for (int i = 0; i < 60; ++i) {
        const auto* message = i % 7 == 3 ? "trap" : i % 11 == 5 ? "grow" : "{}";
        const auto here = run(*plain, message);
        const auto there = run(*machine, message);
        EXPECT_EQ(text(here), text(there));
        EXPECT_EQ(here.gas_used, there.gas_used);
        if (here.kind == Run::Kind::guest_fault) {
            EXPECT_EQ(machine->root(), expected) << "it waits for the root of the message before";
            continue;
        }
        if (i % 13 == 6) {
            ASSERT_TRUE(plain->roll_back());
            ASSERT_TRUE(machine->roll_back());
            continue;
        }
        expected = plain->commit().value();
        ASSERT_TRUE(machine->begin_commit());  // waits for the last one
        if (other)
            other->join();
        other.emplace([&machine, &root] { root = machine->finish_commit().value(); });
    }
    EXPECT_EQ(machine->root(), expected);
    EXPECT_EQ(machine->describe().memory_bytes, plain->memory_bytes());
    other->join();
    EXPECT_EQ(root, expected);
    EXPECT_EQ(run(*machine, "{}").gas_used, run(*plain, "{}").gas_used);
    EXPECT_EQ(machine->commit().value(), plain->commit().value());
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

TEST(State, is_that_of_another_machine_whose_memory_was_taken_over)
{
    // A guest whose whole state is in its memory, as AO's are: grows by a wasm page and counts there, behind a gap of zeros.
    const std::string in_memory = guest_wat(R"(
        (local $at i64)
        (local.set $at (i64.sub (i64.mul (memory.size) (i64.const 65536)) (i64.const 8)))
        (i64.store (local.get $at) (i64.add (i64.load (i64.const 32768)) (i64.const 1)))
        (i64.store (i64.const 32768) (i64.load (local.get $at)))
        (drop (memory.grow (i64.const 40)))
        (call $number_text (i64.load (i64.const 32768))))",
        number_text);
    auto one = machine_of(in_memory);
    run(*one);
    const auto begun = one->commit().value();
    run(*one);
    const auto root = one->commit().value();
    TestFolder folder;
    const auto file = system_files().open(folder / "memory", Files::Mode::create_new).value();
    const auto bytes = one->memory_bytes();
    {
        // The memory, from an image: pages between the runs are holes of the file.
        ASSERT_TRUE(one->save(system_files(), folder / "image"));
        const auto saved = system_files().open(folder / "image", Files::Mode::read).value();
        const auto image = memory::read_image(*saved).value();
        auto at = image.front_bytes;
        Buffer page(memory::page_bytes);
        for (const auto& range : image.runs)
            for (std::uint64_t i = 0; i < range.count; ++i, at += page.size()) {
                ASSERT_EQ(saved->read_at(at, page).value(), page.size());
                ASSERT_TRUE(file->write_at((range.first + i) * page.size(), page));
            }
        ASSERT_TRUE(file->truncate(bytes));
    }
    auto other = machine_of(in_memory);
    EXPECT_EQ(other->take_memory(*file, bytes).value(), root);
    EXPECT_EQ(other->memory_bytes(), bytes);
    EXPECT_EQ(text(run(*other)), "3");
    EXPECT_EQ(text(run(*one)), "3");
    EXPECT_EQ(other->commit().value(), one->commit().value());
    EXPECT_NE(root, begun);

    auto refusing = machine_of(in_memory, {.memory_bytes = 2 * 65536});
    const auto before = refusing->root();
    EXPECT_EQ(refusing->take_memory(*file, bytes).error().code, errors::memory_over_limit);
    EXPECT_EQ(refusing->take_memory(*file, bytes - 1).error().code, errors::bad_image);
    EXPECT_EQ(refusing->take_memory(*file, 0).error().code, errors::bad_image);
    EXPECT_EQ(refusing->root(), before);
    EXPECT_EQ(text(run(*refusing)), "1") << "what was refused changed nothing";
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
    Result<std::unique_ptr<Machine>> restored(
        const std::shared_ptr<const Module>& module, Machine::Limits limits = {}, std::unique_ptr<Machine> left = {})
    {
        limits.tracker = GetParam();
        std::vector<std::unique_ptr<File>> layers;
        layers.push_back(system_files().open(path, Files::Mode::read).value());
        return Machine::restore(module, limits, layers, no_files(), std::move(left));
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

TEST_P(Image, of_a_process_takes_the_place_of_another_and_nothing_of_that_is_left)
{
    const auto module = module_of(counter);
    auto warm = Machine::create(module, {.tracker = GetParam()}).value();
    run(*warm, "a");
    ASSERT_TRUE(warm->commit());
    ASSERT_TRUE(warm->save(system_files(), path));
    auto other = Machine::create(module, {.tracker = GetParam()}).value();
    for (int i = 0; i < 5; ++i)
        run(*other, "b");
    ASSERT_TRUE(other->commit());
    EXPECT_NE(other->root(), warm->root());
    EXPECT_TRUE(other->may_become_another());
    const auto saved_root = warm->root();
    const auto saved_bytes = warm->memory_bytes();
    const auto* const same = other.get();

    auto cold = restored(module, {}, std::move(other)).value();
    EXPECT_EQ(cold.get(), same) << "no new memory, no new mapping";
    EXPECT_EQ(cold->root(), warm->root());
    EXPECT_EQ(cold->unsaved_bytes(), 0U);
    for (const auto* message : {"c", "trap", "grow", "d"}) {
        EXPECT_EQ(text(run(*cold, message)), text(run(*warm, message)));
        EXPECT_EQ(cold->commit().value(), warm->commit().value());
    }

    // With its own limit, and not where the memory would have to become shorter.
    auto limited =
        restored(module, {.memory_bytes = 2 * 65536}, Machine::create(module, {.tracker = GetParam()}).value()).value();
    EXPECT_EQ(run(*limited, "grow").kind, Run::Kind::guest_fault) << "it may not, and writes where it would have";
    EXPECT_GT(cold->memory_bytes(), saved_bytes);
    auto short_again = restored(module, {}, std::move(cold)).value();
    EXPECT_EQ(short_again->memory_bytes(), saved_bytes);
    EXPECT_EQ(short_again->root(), saved_root);
    // Nor one of another module.
    auto stranger = machine_of(guest_wat("(i64.const 8)"), {.tracker = GetParam()});
    auto own_again = restored(module, {}, std::move(stranger)).value();
    EXPECT_EQ(own_again->root(), saved_root);
    EXPECT_EQ(text(run(*own_again, "c")), text(run(*short_again, "c")));
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
