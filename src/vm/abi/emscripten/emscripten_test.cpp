#include "base/hash.hpp"
#include "vm/abi/emscripten/time.hpp"
#include "vm/errors.hpp"
#include "vm/machine.hpp"
#include "vm/test_engine.hpp"
#include "vm/test_wat.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>

using namespace altiplano;
using namespace altiplano::vm;
using vm::test::wat;

namespace {

constexpr std::string_view wasm64_format = "wasm64-unknown-emscripten-draft_2024_02_15";
constexpr std::string_view wasm32_format = "wasm32-unknown-emscripten4";

/// A module as emscripten builds them for AO, with `p` for a pointer's type. `body` is that of handle($message, $env).
/// Its stack begins at 32768 and grows down; at 1024 lies `fine`, at 2048 the text of a path.
std::string module_wat(std::string_view body, std::string_view imports = {}, std::string_view more = {}, bool wasm64 = true)
{
    std::string text = fmt::format(R"wat((module {}
        (memory (export "memory") {} 2 64)
        (table (export "__indirect_function_table") 8 funcref)
        (global $sp (mut p) (p.const 32768))
        (global $threw (mut i32) (i32.const 0))
        (data (p.const 1024) "fine\00")
        (data (p.const 2048) "data/hello\00")
        (data (p.const 2080) "%Y-%m-%d %H:%M:%S %a %b %j %c\00")
        (func (export "__wasm_call_ctors"))
        (func (export "malloc") (param p) (result p) (p.const 65536))
        (func (export "free") (param p))
        (func (export "setThrew") (param p i32) (global.set $threw (i32.const 1)))
        (func (export "emscripten_stack_get_current") (result p) (global.get $sp))
        (func (export "_emscripten_stack_restore") (param p) (global.set $sp (local.get 0)))
        (func (export "_emscripten_stack_alloc") (param $n p) (result p)
            (global.set $sp (p.and (p.sub (global.get $sp) (local.get $n)) (p.const -16)))
            (global.get $sp))
        {}
        (func (export "handle") (param $message p) (param $env p) (result p) {})))wat",
        imports, wasm64 ? "i64" : "", more, body);
    std::string typed;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool alone = text[i] == 'p' && (text[i - 1] == ' ' || text[i - 1] == '(')
            && (text[i + 1] == ' ' || text[i + 1] == ')' || text[i + 1] == '.');
        typed += alone ? std::string_view(wasm64 ? "i64" : "i32") : std::string_view(&text[i], 1);
    }
    return typed;
}

ModuleCache& modules()
{
    static const auto one = ModuleCache::open(vm::test::engine(), system_files(), system_random(), {.folder = {}}).value();
    return *one;
}

Result<std::shared_ptr<const Module>> compiled(std::string_view text, std::string_view format = wasm64_format)
{
    return modules().compile(wat(text), *format_named(format));
}

std::unique_ptr<Machine> machine_of(std::string_view text, std::string_view format = wasm64_format)
{
    auto module = compiled(text, format);
    if (!module)
        throw std::runtime_error(module.error().sentence);
    auto machine = Machine::create(*module, {});
    if (!machine)
        throw std::runtime_error(machine.error().sentence);
    return *std::move(machine);
}

class TextFile final : public GuestFile {
public:
    std::uint64_t size() const override { return text.size(); }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        std::memcpy(into.data(), text.data() + offset, into.size());
        return {};
    }
    ItemId item() const override { return {}; }
    std::string text = "hello, file";
};
class OneFile final : public GuestFiles {
public:
    Result<std::unique_ptr<GuestFile>> open(std::string_view path) override
    {
        if (path == "data/hello")
            return std::make_unique<TextFile>();
        return fail(errors::file_not_found, "none");
    }
    Result<std::unique_ptr<GuestFile>> mapped_item(ItemId) override { return fail(errors::file_not_found, "none"); }
};

Run run(Machine& machine, std::string_view message = "{}")
{
    OneFile files;
    auto done = machine.handle(
        {.message_json = message, .env_json = "{}", .timestamp_ms = 7, .gas_limit = 1'000'000'000, .files = &files});
    if (!done)
        throw std::runtime_error(std::string(done.error().code) + ": " + done.error().sentence);
    return *std::move(done);
}
/// What a message came to: the text, or the fault's code.
std::string outcome(Machine& machine, std::string_view message = "{}")
{
    const auto done = run(machine, message);
    return done.kind == Run::Kind::result ? to_string(done.bytes) : std::string(done.fault_code);
}
std::string outcome_of(std::string_view text, std::string_view format = wasm64_format)
{
    return outcome(*machine_of(text, format));
}

/// handle returns the address of a digit: '0' + what `body` leaves as i32.
std::string digit(std::string_view body)
{
    return fmt::format("(i32.store8 (p.const 3000) (i32.add (i32.const 48) {})) (p.const 3000)", body);
}

constexpr std::string_view invoking = R"((import "env" "invoke_vpp" (func $invoke (param p p p)))
    (import "env" "_emscripten_throw_longjmp" (func $jump)))";

/// Functions that setjmp code calls through the table: 1 returns, 2 jumps, 3 traps, 4 has another signature, 5 recurses,
/// 6 and 7 take what no call through the host can pass.
constexpr std::string_view entries = R"(
    (elem (p.const 1) $returns $jumps $traps $other $again $vectors $exceptions)
    (func $returns (param p p) (p.store (p.const 3100) (local.get 1)))
    (func $jumps (param p p) (global.set $sp (p.const 64)) (call $jump))
    (func $traps (param p p) unreachable)
    (func $other)
    (func $vectors (param v128 v128))
    (func $exceptions (param exnref exnref))
    (func $again (param p p) (call $invoke (p.const 5) (p.const 0) (p.const 0))))";

std::string in_table(std::string text, bool wasm64)
{
    // A table is indexed by i32 in both widths.
    const std::string_view offset = wasm64 ? "(elem (i64.const 1)" : "(elem (i32.const 1)";
    return text.replace(text.find(offset), offset.size(), "(elem (i32.const 1)");
}

std::string invokes(std::string_view body, bool wasm64 = true)
{
    return in_table(module_wat(body, invoking, entries, wasm64), wasm64);
}

}  // namespace

class EmscriptenOfBothWidths : public testing::TestWithParam<bool> {
public:
    std::string_view format() const { return GetParam() ? wasm64_format : wasm32_format; }
};
INSTANTIATE_TEST_SUITE_P(
    widths, EmscriptenOfBothWidths, testing::Bool(), [](const auto& given) { return given.param ? "wasm64" : "wasm32"; });

TEST_P(EmscriptenOfBothWidths, hands_both_texts_over_on_the_stack_and_puts_the_stack_back)
{
    const auto machine = machine_of(module_wat("(local.get $message)", {}, {}, GetParam()), format());
    const auto before = machine->root();
    EXPECT_EQ(outcome(*machine, R"({"Id":"x"})"), R"({"Id":"x"})");
    EXPECT_NE(machine->commit().value(), before) << "the text lies in memory";
    const auto after = machine->root();
    EXPECT_EQ(outcome(*machine, R"({"Id":"x"})"), R"({"Id":"x"})");
    EXPECT_EQ(machine->commit().value(), after) << "the stack pointer is where it was";
}

TEST_P(EmscriptenOfBothWidths, takes_long_messages_from_malloc_so_that_the_stack_holds)
{
    const std::string message(60'000, 'x');
    const auto machine = machine_of(module_wat("(local.get $message)", {}, {}, GetParam()), format());
    EXPECT_EQ(outcome(*machine, message), message);
}

TEST_P(EmscriptenOfBothWidths, calls_a_table_entry)
{
    const auto text =
        invokes("(call $invoke (p.const 1) (p.const 1) (p.const 5))" + digit("(i32.load (p.const 3100))"), GetParam());
    EXPECT_EQ(outcome_of(text, format()), "5");
}

TEST_P(EmscriptenOfBothWidths, ends_a_longjmp_at_the_call_and_restores_the_stack)
{
    const auto text = invokes(R"((global.set $sp (p.const 4096)) (call $invoke (p.const 2) (p.const 0) (p.const 0))
        (if (p.ne (global.get $sp) (p.const 4096)) (then unreachable)))"
            + digit("(global.get $threw)"),
        GetParam());
    EXPECT_EQ(outcome_of(text, format()), "1");
}

TEST_P(EmscriptenOfBothWidths, passes_every_other_end_on)
{
    EXPECT_EQ(outcome_of(invokes("(call $invoke (p.const 3) (p.const 0) (p.const 0)) (p.const 1024)", GetParam()), format()),
        errors::trap_unreachable);
}

TEST(Emscripten, runs_modules_of_the_first_generation_whose_names_are_letters)
{
    const auto machine = machine_of(R"wat((module
        (import "a" "x" (func $invoke_vii (param i32 i32 i32)))
        (memory (export "E") 2 64)
        (table (export "I") 1 funcref)
        (elem (i32.const 0) $put)
        (data (i32.const 1024) "fine\00")
        (func (export "F"))
        (func (export "J") (param i32) (result i32) (i32.const 65536))
        (func (export "L") (param i32 i32))
        (func (export "M") (result i32) (i32.const 32768))
        (func (export "N") (param i32))
        (func (export "O") (param i32) (result i32) (i32.const 16384))
        (func $put (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        (func (export "G") (param i32 i32) (result i32)
            (call $invoke_vii (i32.const 0) (i32.const 1024) (i32.const 109)) (i32.const 1024))))wat",
        "wasm32-unknown-emscripten");
    EXPECT_EQ(outcome(*machine), "mine");
}

TEST(Emscripten, ends_a_message_that_jumps_to_nowhere)
{
    EXPECT_EQ(outcome_of(invokes("(call $jump) (p.const 1024)")), errors::trap_exception);
}

TEST(Emscripten, refuses_entries_that_are_not_there_or_have_another_signature)
{
    EXPECT_EQ(
        outcome_of(invokes("(call $invoke (p.const 0) (p.const 0) (p.const 0)) (p.const 1024)")), errors::trap_indirect_call);
    for (const auto* index : {"4", "6", "7"})
        EXPECT_EQ(outcome_of(invokes(fmt::format("(call $invoke (p.const {}) (p.const 0) (p.const 0)) (p.const 1024)", index))),
            errors::trap_indirect_call);
    for (const auto* index : {"8", "-1", "4294967297"})
        EXPECT_EQ(outcome_of(invokes(fmt::format("(call $invoke (p.const {}) (p.const 0) (p.const 0)) (p.const 1024)", index))),
            errors::trap_table_out_of_bounds);
}

TEST(Emscripten, ends_endless_invokes_at_the_depth_limit)
{
    EXPECT_EQ(outcome_of(invokes("(call $invoke (p.const 5) (p.const 0) (p.const 0)) (p.const 1024)")), errors::trap_depth);
}

TEST(Emscripten, lets_a_process_go_on_after_a_fault_inside_an_invoke)
{
    const auto text = invokes("(if (i32.eq (i32.load8_u (local.get $message)) (i32.const 120)) (then "
                              "(call $invoke (p.const 3) (p.const 0) (p.const 0)))) (p.const 1024)");
    const auto machine = machine_of(text);
    EXPECT_EQ(outcome(*machine, "x"), errors::trap_unreachable);
    EXPECT_EQ(outcome(*machine, "y"), "fine");
}

TEST(Emscripten, starts_the_clock_anew_with_each_message)
{
    const auto machine = machine_of(module_wat(
        "(drop (call $now)) (i64.store (i64.const 3000) (i64.add (i64.const 0x30) (i64.trunc_f64_u (f64.sub (call $now) "
        "(f64.const 10004))))) (p.const 3000)",
        R"((import "env" "emscripten_date_now" (func $now (result f64))))"));
    EXPECT_EQ(outcome(*machine), "1");
    EXPECT_EQ(outcome(*machine), "1");
}

TEST(Emscripten, counts_what_the_loader_counts)
{
    // By the loader's table: 211 for the stack pointer, twice 662 for room on the stack, 331 for putting it back; in handle a
    // loop costs 92 to enter and 513 each time, the address 92.
    const auto text = module_wat(R"((local $i i64)
        (loop $l (br_if $l (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.const 10)))) (p.const 1024))");
    constexpr std::uint64_t expected = 211 + 2 * 662 + 92 + 10 * 513 + 92 + 331;
    const auto machine = machine_of(text, "wasm64-unknown-emscripten-draft_2024_10_16-metering");
    EXPECT_EQ(run(*machine).metered, expected);
    EXPECT_EQ(run(*machine).metered, expected) << "each message begins at nothing";
    EXPECT_EQ(run(*machine_of(text)).metered, std::nullopt);

    const auto spend = [&](std::uint64_t gas) {
        return machine->handle({.message_json = "{}", .env_json = "{}", .gas_limit = gas}).value().fault_code;
    };
    EXPECT_EQ(spend(expected), "");
    EXPECT_EQ(spend(expected - 332), errors::trap_out_of_gas) << "the count ends a message long before our gas does";
}

TEST(Emscripten, puts_the_stack_away_while_a_file_is_opened_where_that_counts)
{
    // What Binaryen's pass makes of a guest, by hand: handle returns while it unwinds, and comes back to the same call.
    const auto text = module_wat(R"((local $fd i32)
        (i32.store (p.const 5000) (i32.add (i32.load (p.const 5000)) (i32.const 1)))
        (if (i32.eqz (global.get $asleep)) (then (i32.store (p.const 5004) (i32.load8_u (local.get $message)))))
        (local.set $fd (call $open (p.const 2048) (p.const 0)))
        (if (i32.eq (global.get $asleep) (i32.const 1)) (then (return (p.const 0))))
        (i32.store8 (p.const 3000) (i32.add (i32.const 48) (i32.load (p.const 5000))))
        (i32.store8 (p.const 3001) (i32.add (i32.const 48) (local.get $fd)))
        (i32.store8 (p.const 3002) (i32.load (p.const 5004)))
        (i32.store8 (p.const 3003) (i32.const 0))
        (i32.store (p.const 5000) (i32.const 0))
        (p.const 3000))",
        R"((import "env" "__asyncjs__weavedrive_open" (func $open (param p p) (result i32))))",
        R"((global $asleep (mut i32) (i32.const 0))
        (func (export "asyncify_start_unwind") (param p) (global.set $asleep (i32.const 1)))
        (func (export "asyncify_stop_unwind") (global.set $asleep (i32.const 0)))
        (func (export "asyncify_start_rewind") (param p) (global.set $asleep (i32.const 2)))
        (func (export "asyncify_stop_rewind") (global.set $asleep (i32.const 0))))");
    const auto counted = machine_of(text, "wasm64-unknown-emscripten-draft_2024_10_16-metering");
    EXPECT_EQ(outcome(*counted, "m"), "23m") << "handle ran twice, the file was opened once";
    EXPECT_EQ(outcome(*counted, "n"), "23n");
    EXPECT_EQ(outcome(*machine_of(text), "m"), "13m") << "where nobody counts, the answer is there at once";
}

TEST(Emscripten, has_no_shell)
{
    const auto* import = R"((import "env" "_emscripten_system" (func $system (param p) (result i32))))";
    EXPECT_EQ(outcome_of(module_wat(digit("(i32.eqz (call $system (p.const 0)))"), import)), "1");
    EXPECT_EQ(outcome_of(module_wat(digit("(i32.eq (call $system (p.const 1024)) (i32.const -52))"), import)), "1");

    // In older builds the host sets errno, where Lua's os.execute looks for the words.
    const auto* older = R"((import "env" "system" (func $system (param p) (result i32))))";
    const auto* errno_at = R"((func (export "__errno_location") (result p) (p.const 4096)))";
    EXPECT_EQ(outcome_of(module_wat(digit("(i32.and (i32.eq (call $system (p.const 1024)) (i32.const -1))"
                                          " (i32.eq (i32.load (p.const 4096)) (i32.const 52)))"),
                  older, errno_at)),
        "1");
    EXPECT_EQ(outcome_of(module_wat(digit("(i32.eq (call $system (p.const 1024)) (i32.const -1))"), older)), "1");
}

TEST(Emscripten, opens_what_the_weave_has_and_nothing_else)
{
    const auto* imports = R"((import "env" "__asyncjs__weavedrive_open" (func $open (param p p) (result i32)))
        (import "env" "__asyncjs__weavedrive_read" (func $read (param i32 p p) (result i32)))
        (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 p) (result i32))))";
    // As AO's code reads a file: to its end, where is that, then all of it (ao-protocol.md 7.2).
    EXPECT_EQ(outcome_of(module_wat(R"((local $fd i32) (local.set $fd (call $open (p.const 2048) (p.const 0)))
        (drop (call $seek (local.get $fd) (i64.const 0) (i32.const 2) (p.const 3000)))
        (drop (call $seek (local.get $fd) (i64.const 0) (i32.const 1) (p.const 3000)))
        (drop (call $read (local.get $fd) (p.const 3100) (i64.load (p.const 3000)))) (p.const 3100))",
                  imports)),
        "hello, file");
    // Whoever goes somewhere else gets what is there.
    EXPECT_EQ(outcome_of(module_wat(R"((local $fd i32) (local.set $fd (call $open (p.const 2048) (p.const 0)))
        (drop (call $seek (local.get $fd) (i64.const 0) (i32.const 2) (p.const 3000)))
        (drop (call $seek (local.get $fd) (i64.const -4) (i32.const 1) (p.const 3000)))
        (drop (call $read (local.get $fd) (p.const 3100) (i64.const 4))) (p.const 3100))",
                  imports)),
        "file");
    EXPECT_EQ(outcome_of(module_wat(digit("(call $open (p.const 1024) (p.const 0))"), imports)), "0") << "fopen gives NULL";
    // "data/hello" with its first letter cut off the id.
    EXPECT_EQ(
        outcome_of(module_wat(
            "(i32.store8 (p.const 2053) (i32.const 88)) (drop (call $open (p.const 2048) (p.const 0))) (p.const 1024)", imports)),
        errors::trap_abort);
}

TEST(Emscripten, writes_times_as_the_loader_does)
{
    const auto text = module_wat(R"((call $gmtime (i64.const 951782400) (p.const 3000))
        (drop (call $strftime (p.const 3200) (p.const 200) (p.const 2080) (p.const 3000))) (p.const 3200))",
        R"((import "env" "_gmtime_js" (func $gmtime (param i64 p)))
           (import "env" "strftime" (func $strftime (param p p p p) (result p))))");
    EXPECT_EQ(outcome_of(text), "2000-02-29 00:00:00 Tue Feb 060 Tue Feb 29 00:00:00 2000");
}

TEST(Emscripten, counts_calendar_days_in_both_directions)
{
    using namespace vm::abi::emscripten;
    for (const std::int64_t seconds :
        {0LL, -1LL, 951'782'400LL, 1'709'164'800LL, 4'102'444'800LL, -2'208'988'800LL, 8'640'000'000'000LL})
        EXPECT_EQ(seconds_of(calendar_of(seconds).value()), seconds);
    EXPECT_EQ(calendar_of(8'640'000'000'001), std::nullopt);
    EXPECT_EQ(seconds_of({.day_of_month = 1, .month = 13, .year = 99}), seconds_of({.day_of_month = 1, .month = 1, .year = 100}));
    EXPECT_EQ(format_time("%G-W%V-%u %y %%Y %q", calendar_of(1'104'537'600).value(), ""), "2004-W53-6 05 %Y %q");
}

TEST(Emscripten, grows_the_heap_by_a_fifth_and_says_no_at_the_end)
{
    const auto* import = R"((import "env" "emscripten_resize_heap" (func $resize (param p) (result i32))))";
    EXPECT_EQ(
        outcome_of(module_wat("(drop (call $resize (p.const 131073)))" + digit("(i32.wrap_i64 (memory.size))"), import)), "3");
    EXPECT_EQ(outcome_of(module_wat(digit("(call $resize (p.const 4194305))"), import)), "0") << "64 pages are its maximum";
    EXPECT_EQ(outcome_of(module_wat(digit("(call $resize (p.const -1))"), import)), "0");
    EXPECT_EQ(outcome_of(module_wat(digit("(call $resize (p.const 0))"), import)), "0");
}

TEST(Emscripten, fails_the_message_alone_for_addresses_out_of_range)
{
    struct Row {
        const char* name;
        const char* type;
        std::string_view call;
    };
    // Each import with a pointer beyond the memory, and with a length that wraps.
    const Row rows[] = {
        {"_emscripten_memcpy_js", "(param p p p)", "(call $f (p.const 9999999999) (p.const 0) (p.const 8))"},
        {"_emscripten_memcpy_js", "(param p p p)", "(call $f (p.const 0) (p.const -8) (p.const 16))"},
        {"_emscripten_memcpy_js", "(param p p p)", "(call $f (p.const 0) (p.const 8) (p.const -1))"},
        {"_gmtime_js", "(param i64 p)", "(call $f (i64.const 1) (p.const -4))"},
        {"_localtime_js", "(param i64 p)", "(call $f (i64.const 1) (p.const 131070))"},
        {"_mktime_js", "(param p) (result p)", "(drop (call $f (p.const 131070)))"},
        {"_tzset_js", "(param p p p p)", "(call $f (p.const 0) (p.const 0) (p.const -1) (p.const 0))"},
        {"strftime", "(param p p p p) (result p)", "(drop (call $f (p.const -1) (p.const 100) (p.const 2080) (p.const 0)))"},
        {"strftime", "(param p p p p) (result p)", "(drop (call $f (p.const 0) (p.const 100) (p.const -1) (p.const 0)))"},
        {"environ_sizes_get", "(param p p) (result i32)", "(drop (call $f (p.const -1) (p.const 0)))"},
        {"fd_write", "(param i32 p p p) (result i32)", "(drop (call $f (i32.const 1) (p.const -1) (p.const 1) (p.const 0)))"},
        {"fd_write", "(param i32 p p p) (result i32)",
            "(drop (call $f (i32.const 1) (p.const 131064) (p.const 1024) (p.const 0)))"},
        {"fd_read", "(param i32 p p p) (result i32)", "(drop (call $f (i32.const 0) (p.const 0) (p.const 0) (p.const -1)))"},
        {"__syscall_openat", "(param i32 p i32 p) (result i32)",
            "(drop (call $f (i32.const -100) (p.const -1) (i32.const 0) (p.const 0)))"},
        {"__syscall_getcwd", "(param p p) (result i32)", "(drop (call $f (p.const 131071) (p.const 9)))"},
        {"__asyncjs__weavedrive_open", "(param p p) (result i32)", "(drop (call $f (p.const 131072) (p.const 0)))"},
        {"fd_fdstat_get", "(param i32 p) (result i32)", "(drop (call $f (i32.const 1) (p.const 131071)))"},
        {"emscripten_err", "(param p)", "(call $f (p.const 131072))"},
    };
    for (const auto& [name, type, call] : rows) {
        const auto text =
            module_wat(fmt::format("{} (p.const 1024)", call), fmt::format("(import \"env\" \"{}\" (func $f {}))", name, type));
        EXPECT_EQ(outcome_of(text), errors::trap_out_of_bounds) << call << " of " << name;
    }
}

TEST(Emscripten, ends_a_message_that_exits_or_aborts)
{
    EXPECT_EQ(outcome_of(module_wat("(call $f (i32.const 0)) (p.const 1024)", R"((import "env" "exit" (func $f (param i32))))")),
        errors::trap_abort);
    EXPECT_EQ(outcome_of(module_wat("(call $f) (p.const 1024)", R"((import "env" "_abort_js" (func $f)))")), errors::trap_abort);
}

TEST(Emscripten, refuses_a_module_of_another_width_than_its_format_says)
{
    EXPECT_EQ(compiled(module_wat("(p.const 1024)"), wasm32_format).error().code, errors::bad_format);
}

TEST(Emscripten, refuses_imports_that_nobody_has_or_of_another_type)
{
    EXPECT_EQ(compiled(module_wat("(p.const 1024)", R"((import "env" "socket" (func)))")).error().code, errors::unknown_import);
    EXPECT_EQ(
        compiled(module_wat("(p.const 1024)", R"((import "env" "exit" (func (param i64))))")).error().code, errors::bad_import);
    EXPECT_EQ(compiled(module_wat("(p.const 1024)", R"((import "env" "invoke_v" (func)))")).error().code, errors::bad_import);
}
