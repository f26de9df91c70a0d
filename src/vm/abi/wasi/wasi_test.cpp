#include "base/hash.hpp"
#include "vm/abi/wasi/path.hpp"
#include "vm/errors.hpp"
#include "vm/machine.hpp"
#include "vm/test_engine.hpp"
#include "vm/test_map_extension.hpp"
#include "vm/test_wat.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>

using namespace altiplano;
using namespace altiplano::vm;
using vm::test::guest_wat;
using vm::test::MapExtension;
using vm::test::wat;

namespace {

class TextFile final : public GuestFile {
public:
    explicit TextFile(std::string text)
        : text_(std::move(text))
    {
    }
    std::uint64_t size() const override { return text_.size(); }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        std::memcpy(into.data(), text_.data() + offset, into.size());
        return {};
    }
    ItemId item() const override { return ItemId(sha256(as_bytes(text_))); }

private:
    std::string text_;
};

class TestFiles final : public GuestFiles {
public:
    std::map<std::string, std::string, std::less<>> texts{{"data/hello", "hello, file"}};
    Result<std::unique_ptr<GuestFile>> open(std::string_view path) override
    {
        if (path == "data/secret")
            return fail(errors::file_not_admitted, "not for you");
        if (path == "data/broken")
            return fail(errors::host_file, "the disk is gone");
        const auto found = texts.find(path);
        if (found == texts.end())
            return fail(errors::file_not_found, "none");
        return std::make_unique<TextFile>(found->second);
    }
    Result<std::unique_ptr<GuestFile>> mapped_item(ItemId) override { return fail(errors::file_not_found, "none"); }
};

ModuleCache& modules()
{
    static const auto one = ModuleCache::open(
        vm::test::engine(), system_files(), system_random(), {.folder = {}, .extensions = {std::make_shared<MapExtension>()}})
                                .value();
    return *one;
}

constexpr std::string_view imports = R"(
    (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i64 i64 i32 i64 i64 i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "path_filestat_get" (func $path_stat (param i32 i32 i64 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i64 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i64 i64 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i64 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_tell" (func $fd_tell (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_stat (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $prestat_name (param i32 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i64 i64 i64 i64) (result i32)))
    (import "altiplano" "map" (func $map (param i32 i64 i64 i64) (result i32)))
    (import "altiplano" "unmap" (func $unmap (param i64 i64) (result i32))))";

/// $is(want, got) traps unless equal; $open opens data/hello and returns its descriptor; the text at 8192 is the answer.
constexpr std::string_view helpers = R"(
    (data (i64.const 256) "data/hello") (data (i64.const 288) "/data//./hello") (data (i64.const 320) "data/secret")
    (data (i64.const 352) "data/../x") (data (i64.const 384) "data/broken") (data (i64.const 8192) "all is well")
    (func $is (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then (unreachable))))
    (func $open_at (param $at i64) (param $n i64) (result i32)
        (call $path_open (i32.const 3) (i32.const 0) (local.get $at) (local.get $n) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i64.const 128)))
    (func $open (result i32) (call $is (i32.const 0) (call $open_at (i64.const 256) (i64.const 10))) (i32.load (i64.const 128)))
    (func $iov (param $at i64) (param $n i64) (i64.store (i64.const 64) (local.get $at)) (i64.store (i64.const 72) (local.get $n))))";

std::string guest(std::string_view body, std::string_view more = {})
{
    return guest_wat(body, std::string(helpers) + std::string(more), imports);
}

struct Ran {
    std::string text;
    std::string console;
    std::uint64_t gas = 0;
};

std::unique_ptr<Machine> machine_of(std::string_view text)
{
    return Machine::create(modules().compile(wat(text)).value(), {}).value();
}

Ran run_on(Machine& machine, std::int64_t timestamp_ms = 0, Digest seed = {})
{
    TestFiles files;
    Ran ran;
    const auto done = machine.handle({.message_json = "{}",
        .env_json = "{}",
        .timestamp_ms = timestamp_ms,
        .seed = seed,
        .gas_limit = 1'000'000'000,
        .files = &files,
        .console = [&](int fd, std::string_view text) { ran.console += fmt::format("{}:{}", fd, text); }});
    ran.text = !done                      ? std::string(done.error().code)
        : done->kind == Run::Kind::result ? to_string(done->bytes)
                                          : std::string(done->fault_code);
    ran.gas = done ? done->gas_used : 0;
    return ran;
}

std::string run(std::string_view body, std::string_view more = {})
{
    return run_on(*machine_of(guest(std::string(body) + "(i64.const 8192)", more))).text;
}

constexpr std::string_view well = "all is well";

}  // namespace

TEST(Wasi, opens_reads_seeks_and_closes_a_file)
{
    EXPECT_EQ(run(R"((local $fd i32)
        (local.set $fd (call $open)) (call $is (i32.const 4) (local.get $fd))
        (call $iov (i64.const 4096) (i64.const 5))
        (call $is (i32.const 0) (call $fd_read (local.get $fd) (i64.const 64) (i64.const 1) (i64.const 136)))
        (call $is (i32.const 5) (i32.load (i64.const 136))) (call $is (i32.const 0x6c6c6568) (i32.load (i64.const 4096)))
        (call $is (i32.const 0) (call $fd_tell (local.get $fd) (i64.const 136))) (call $is (i32.const 5) (i32.load (i64.const 136)))
        (call $is (i32.const 0) (call $fd_seek (local.get $fd) (i64.const -4) (i32.const 2) (i64.const 136))) (call $is (i32.const 7) (i32.load (i64.const 136)))
        (call $iov (i64.const 4096) (i64.const 100))
        (call $is (i32.const 0) (call $fd_read (local.get $fd) (i64.const 64) (i64.const 1) (i64.const 136)))
        (call $is (i32.const 4) (i32.load (i64.const 136))) (call $is (i32.const 0x656c6966) (i32.load (i64.const 4096)))
        (call $is (i32.const 0) (call $fd_read (local.get $fd) (i64.const 64) (i64.const 1) (i64.const 136))) (call $is (i32.const 0) (i32.load (i64.const 136)))
        (call $is (i32.const 0) (call $fd_pread (local.get $fd) (i64.const 64) (i64.const 1) (i64.const 1) (i64.const 136))) (call $is (i32.const 10) (i32.load (i64.const 136)))
        (call $is (i32.const 28) (call $fd_seek (local.get $fd) (i64.const -1) (i32.const 0) (i64.const 136)))
        (call $is (i32.const 0) (call $fd_stat (local.get $fd) (i64.const 512)))
        (call $is (i32.const 4) (i32.load8_u (i64.const 528))) (call $is (i32.const 11) (i32.load (i64.const 544)))
        (call $is (i32.const 0) (call $fd_close (local.get $fd))) (call $is (i32.const 8) (call $fd_close (local.get $fd)))
        (call $is (i32.const 8) (call $fd_read (local.get $fd) (i64.const 64) (i64.const 1) (i64.const 136))))"),
        well);
}

TEST(Wasi, answers_for_paths_as_the_drive_says)
{
    EXPECT_EQ(run(R"(
        (call $is (i32.const 0) (call $open_at (i64.const 288) (i64.const 14)))
        (call $is (i32.const 2) (call $open_at (i64.const 320) (i64.const 11)))
        (call $is (i32.const 44) (call $open_at (i64.const 256) (i64.const 9)))
        (call $is (i32.const 76) (call $open_at (i64.const 352) (i64.const 9)))
        (call $is (i32.const 31) (call $open_at (i64.const 288) (i64.const 1)))
        (call $is (i32.const 0) (call $path_stat (i32.const 3) (i32.const 0) (i64.const 256) (i64.const 10) (i64.const 512))) (call $is (i32.const 11) (i32.load (i64.const 544)))
        (call $is (i32.const 0) (call $path_stat (i32.const 3) (i32.const 0) (i64.const 288) (i64.const 1) (i64.const 512))) (call $is (i32.const 3) (i32.load8_u (i64.const 528)))
        (call $is (i32.const 8) (call $path_stat (i32.const 9) (i32.const 0) (i64.const 256) (i64.const 10) (i64.const 512)))
        ;; to write: the weave is read-only
        (call $is (i32.const 69) (call $path_open (i32.const 3) (i32.const 0) (i64.const 256) (i64.const 10) (i32.const 1) (i64.const 2) (i64.const 0) (i32.const 0) (i64.const 128)))
        (call $is (i32.const 69) (call $path_open (i32.const 3) (i32.const 0) (i64.const 256) (i64.const 10) (i32.const 0) (i64.const 66) (i64.const 0) (i32.const 0) (i64.const 128))))"),
        well);
    // What this node cannot read is no answer at all.
    auto machine = machine_of(guest("(drop (call $open_at (i64.const 384) (i64.const 11))) (i64.const 8192)"));
    EXPECT_EQ(run_on(*machine).text, errors::host_file);
    EXPECT_EQ(run_on(*machine).text, errors::machine_lost);
}

TEST(Wasi, has_one_preopened_root_and_no_environment)
{
    EXPECT_EQ(run(R"(
        (call $is (i32.const 0) (call $prestat (i32.const 3) (i64.const 512))) (call $is (i32.const 1) (i32.load (i64.const 520)))
        (call $is (i32.const 8) (call $prestat (i32.const 4) (i64.const 512)))
        (call $is (i32.const 0) (call $prestat_name (i32.const 3) (i64.const 512) (i64.const 1))) (call $is (i32.const 47) (i32.load8_u (i64.const 512)))
        (call $is (i32.const 0) (call $fd_fdstat (i32.const 3) (i64.const 512))) (call $is (i32.const 3) (i32.load8_u (i64.const 512)))
        (call $is (i32.const 0) (call $environ (i64.const 512) (i64.const 520))) (call $is (i32.const 0) (i32.load (i64.const 512)))
        (call $is (i32.const 52) (call $poll (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))))"),
        well);
}

TEST(Wasi, takes_time_and_randomness_from_the_message)
{
    const auto text = guest(R"(
        (drop (call $clock (i32.const 0) (i64.const 0) (i64.const 512)))
        (drop (call $clock (i32.const 1) (i64.const 0) (i64.const 520)))
        (drop (call $random (i64.const 528) (i64.const 40)))
        (call $iov (i64.const 512) (i64.const 56))
        (drop (call $fd_write (i32.const 2) (i64.const 64) (i64.const 1) (i64.const 136)))
        (i64.const 8192))");
    auto machine = machine_of(text);
    const auto printed = run_on(*machine, 1'700'000'000'123, Digest(sha256(as_bytes("seed")))).console;
    ASSERT_EQ(printed.size(), 2 + 56U);
    EXPECT_EQ(printed.substr(0, 2), "2:");
    const auto bytes = as_bytes(printed).subspan(2);
    EXPECT_EQ(read_u64(bytes), 1'700'000'000'123'000'000U);
    EXPECT_EQ(read_u64(bytes.subspan(8)), 1'700'000'000'123'001'000U);
    // The same on the same machine warm, and on another; other bytes for another seed.
    EXPECT_EQ(run_on(*machine, 1'700'000'000'123, Digest(sha256(as_bytes("seed")))).console, printed);
    EXPECT_EQ(run_on(*machine_of(text), 1'700'000'000'123, Digest(sha256(as_bytes("seed")))).console, printed);
    EXPECT_NE(run_on(*machine, 1'700'000'000'123, Digest(sha256(as_bytes("other")))).console, printed);
}

TEST(Wasi, starts_every_message_without_open_files)
{
    auto machine =
        machine_of(guest("(call $is (i32.const 4) (call $open)) (call $is (i32.const 5) (call $open)) (i64.const 8192)"));
    EXPECT_EQ(run_on(*machine).text, well);
    EXPECT_EQ(run_on(*machine).text, well);
}

TEST(Wasi, gives_the_lowest_free_descriptor_and_at_most_1024)
{
    EXPECT_EQ(run(R"((local $i i32)
        (call $is (i32.const 4) (call $open)) (call $is (i32.const 5) (call $open)) (call $is (i32.const 6) (call $open))
        (drop (call $fd_close (i32.const 5))) (call $is (i32.const 5) (call $open))
        (loop $l (drop (call $open)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 1021))))
        (call $is (i32.const 33) (call $open_at (i64.const 256) (i64.const 10))))"),
        well);
}

TEST(Wasi, ends_the_message_when_the_guest_exits)
{
    EXPECT_EQ(run("(call $exit (i32.const 3))"), errors::trap_abort);
    // Also through a catch_all, and exit code 0 is no success either.
    EXPECT_EQ(run("(block $b (try_table (catch_all $b) (call $exit (i32.const 0))))"), errors::trap_abort);
}

TEST(Wasi, faults_on_every_pointer_outside_of_memory)
{
    for (const auto* body : {"(call $iov (i64.const 131071) (i64.const 2)) (drop (call $fd_write (i32.const 1) (i64.const 64) "
                             "(i64.const 1) (i64.const 136)))",
             "(call $iov (i64.const -1) (i64.const 2)) (drop (call $fd_write (i32.const 1) (i64.const 64) (i64.const 1) "
             "(i64.const 136)))",
             "(call $iov (i64.const 2) (i64.const -1)) (drop (call $fd_write (i32.const 1) (i64.const 64) (i64.const 1) "
             "(i64.const 136)))",
             "(drop (call $fd_write (i32.const 1) (i64.const 131064) (i64.const 1) (i64.const 136)))",
             "(drop (call $fd_write (i32.const 1) (i64.const -8) (i64.const 1) (i64.const 136)))",
             "(call $iov (i64.const 0) (i64.const 1)) (drop (call $fd_write (i32.const 1) (i64.const 64) (i64.const 1) "
             "(i64.const 131065)))",
             "(call $iov (i64.const 131070) (i64.const 5)) (drop (call $fd_read (call $open) (i64.const 64) (i64.const 1) "
             "(i64.const 136)))",
             "(drop (call $fd_read (i32.const 0) (i64.const 64) (i64.const 0) (i64.const 131065)))",
             "(drop (call $open_at (i64.const 131070) (i64.const 10)))", "(drop (call $open_at (i64.const 10) (i64.const -10)))",
             "(drop (call $path_open (i32.const 3) (i32.const 0) (i64.const 256) (i64.const 10) (i32.const 0) (i64.const 2) "
             "(i64.const 0) (i32.const 0) (i64.const 131069)))",
             "(drop (call $clock (i32.const 0) (i64.const 0) (i64.const 131065)))",
             "(drop (call $random (i64.const 131000) (i64.const 100)))", "(drop (call $random (i64.const 8) (i64.const -4)))",
             "(drop (call $environ (i64.const -4) (i64.const 8)))", "(drop (call $prestat (i32.const 3) (i64.const 131060)))",
             "(drop (call $fd_stat (i32.const 3) (i64.const 131010)))",
             "(drop (call $fd_seek (call $open) (i64.const 0) (i32.const 0) (i64.const -1)))"})
        EXPECT_EQ(run(body), errors::trap_out_of_bounds) << body;
    // Too many parts is an errno, whatever lies there.
    EXPECT_EQ(
        run("(call $is (i32.const 28) (call $fd_write (i32.const 1) (i64.const 64) (i64.const 1025) (i64.const 136)))"), well);
    EXPECT_EQ(run("(call $is (i32.const 28) (call $fd_write (i32.const 1) (i64.const 64) (i64.const 0x1000000000000001) "
                  "(i64.const 136)))"),
        well);
}

TEST(Wasi, charges_host_calls_by_the_byte)
{
    const auto gas = [](std::uint64_t bytes) {
        return run_on(
            *machine_of(guest(fmt::format("(drop (call $random (i64.const 12000) (i64.const {}))) (i64.const 8192)", bytes))))
            .gas;
    };
    EXPECT_EQ(gas(1001) - gas(1), 8000U);
    // A loop of host calls runs dry like any other.
    EXPECT_EQ(run("(loop $l (drop (call $random (i64.const 512) (i64.const 1000))) (br $l))"), errors::trap_out_of_gas);
}

TEST(Wasi, serves_guests_of_32_bits)
{
    auto machine = Machine::create(modules()
                                       .compile(wat(R"((module
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "\20\00\00\00\02\00\00\00hi") (data (i32.const 32) "ho") (data (i32.const 64) "done")
        (tag $t)
        (func (export "malloc") (param i32) (result i32) (i32.const 1024))
        (func (export "free") (param i32))
        (func (export "handle") (param i32 i32) (result i32)
            (block $b (try_table (catch $t $b) (throw $t)))
            (if (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 48)) (then (unreachable)))
            (if (i32.ne (i32.load (i32.const 48)) (i32.const 2)) (then (unreachable)))
            (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 63)) (then (drop (i32.load (i32.const -1)))))
            (i32.const 64))))"))
                                       .value(),
        {})
                       .value();
    EXPECT_EQ(run_on(*machine).text, "done");
    EXPECT_EQ(run_on(*machine).console, "1:ho");
    EXPECT_EQ(
        machine->handle({.message_json = "", .env_json = "?", .gas_limit = 1'000'000})->fault_code, errors::trap_out_of_bounds);
}

TEST(Paths, are_made_normal_or_refused)
{
    using vm::abi::wasi::normal_path;
    EXPECT_EQ(normal_path("data/x").value(), "data/x");
    EXPECT_EQ(normal_path("//data/./x/").value(), "data/x");
    EXPECT_EQ(normal_path("").value(), "");
    EXPECT_EQ(normal_path("/.").value(), "");
    EXPECT_EQ(normal_path("data/../etc").error(), Errno::notcapable);
    EXPECT_EQ(normal_path("..").error(), Errno::notcapable);
    EXPECT_EQ(normal_path(std::string("a\0b", 3)).error(), Errno::inval);
    EXPECT_EQ(normal_path(std::string(4097, 'a')).error(), Errno::nametoolong);
    EXPECT_EQ(normal_path("...").value(), "...");
}

// ---- mapped items

namespace {
constexpr std::string_view mapping =
    "(call $is (i32.const 0) (call $map (call $open) (i64.const 0) (i64.const 11) (i64.const 65536)))";
std::string mapped(std::string_view body)
{
    return run(std::string(mapping) + std::string(body));
}
}  // namespace

TEST(Mapped, items_are_read_like_memory)
{
    EXPECT_EQ(mapped("(call $is (i32.const 0x6c6c6568) (i32.load (i64.const 65536))) (call $is (i32.const 0) (i32.load8_u "
                     "(i64.const 65547))) (call $is (i32.const 0) (i32.load8_u (i64.const 69631)))"),
        well);
}

TEST(Mapped, items_are_read_only_for_code_bulk_writes_and_host_calls)
{
    for (const auto* body : {"(i32.store (i64.const 65540) (i32.const 1))", "(i32.store8 (i64.const 69631) (i32.const 1))",
             "(memory.fill (i64.const 65000) (i32.const 1) (i64.const 1000))",
             "(memory.copy (i64.const 69000) (i64.const 0) (i64.const 8))",
             "(memory.init $passive (i64.const 65536) (i32.const 0) (i32.const 1))",
             "(drop (call $random (i64.const 65530) (i64.const 10)))",
             "(drop (call $clock (i32.const 0) (i64.const 0) (i64.const 65536)))"})
        EXPECT_EQ(run(std::string(mapping) + body, "(data $passive \"x\")"), errors::trap_read_only) << body;
    // Beside the range and from it all is well; an empty write writes nothing.
    EXPECT_EQ(mapped("(memory.fill (i64.const 65000) (i32.const 1) (i64.const 536)) (memory.copy (i64.const 69632) (i64.const "
                     "65536) (i64.const 8)) (memory.fill (i64.const 65536) (i32.const 1) (i64.const 0))"),
        well);
    // Out of bounds stays out of bounds.
    EXPECT_EQ(mapped("(memory.fill (i64.const 65536) (i32.const 1) (i64.const 70000))"), errors::trap_out_of_bounds);
}

TEST(Mapped, items_are_refused_where_they_do_not_fit)
{
    EXPECT_EQ(run(R"((local $fd i32) (local.set $fd (call $open))
        (call $is (i32.const 8) (call $map (i32.const 77) (i64.const 0) (i64.const 11) (i64.const 65536)))
        (call $is (i32.const 28) (call $map (local.get $fd) (i64.const 1) (i64.const 1) (i64.const 65536)))
        (call $is (i32.const 28) (call $map (local.get $fd) (i64.const 0) (i64.const 12) (i64.const 65536)))
        (call $is (i32.const 28) (call $map (local.get $fd) (i64.const 0) (i64.const 0) (i64.const 65536)))
        (call $is (i32.const 28) (call $map (local.get $fd) (i64.const 0) (i64.const 11) (i64.const 65537)))
        (call $is (i32.const 28) (call $map (local.get $fd) (i64.const 0) (i64.const 11) (i64.const 131072)))
        (call $is (i32.const 28) (call $map (local.get $fd) (i64.const 0) (i64.const -4096) (i64.const 65536)))
        (call $is (i32.const 28) (call $map (local.get $fd) (i64.const 0) (i64.const 11) (i64.const -4096)))
        (call $is (i32.const 28) (call $unmap (i64.const 65536) (i64.const 1)))
        (call $is (i32.const 28) (call $unmap (i64.const 131072) (i64.const 4096))))"),
        well);
    EXPECT_EQ(mapped("(call $is (i32.const 28) (call $map (i32.const 4) (i64.const 0) (i64.const 11) (i64.const 65536)))"), well);
}

TEST(Mapped, items_go_when_they_are_unmapped_and_leave_zeros)
{
    EXPECT_EQ(mapped("(call $is (i32.const 0) (call $unmap (i64.const 65536) (i64.const 4096))) (call $is (i32.const 0) "
                     "(i32.load (i64.const 65536))) (i32.store (i64.const 65536) (i32.const 1)) (memory.fill (i64.const 65536) "
                     "(i32.const 1) (i64.const 5000))"),
        well);
}

TEST(Mapped, items_are_part_of_the_state_and_roll_back)
{
    // "m" maps, "w" writes there: a fault once mapped; "u" unmaps. The answer is the byte at 65536 and one more.
    const auto text = guest(R"(
        (if (i32.eq (i32.load8_u (local.get $message)) (i32.const 109)) (then (call $is (i32.const 0) (call $map (call $open) (i64.const 0) (i64.const 11) (i64.const 65536)))))
        (if (i32.eq (i32.load8_u (local.get $message)) (i32.const 119)) (then (i32.store8 (i64.const 65536) (i32.const 87))))
        (if (i32.eq (i32.load8_u (local.get $message)) (i32.const 117)) (then (call $is (i32.const 0) (call $unmap (i64.const 65536) (i64.const 4096)))))
        (i64.const 65536))");
    auto machine = machine_of(text);
    TestFiles files;
    const auto say = [&](std::string_view message) {
        const auto done = machine->handle({.message_json = message, .env_json = "{}", .gas_limit = 1'000'000, .files = &files});
        return !done                          ? std::string(done.error().code)
            : done->kind == Run::Kind::result ? to_string(done->bytes)
                                              : std::string(done->fault_code);
    };
    const auto before = machine->root();
    EXPECT_EQ(say("m"), "hello, file");
    ASSERT_TRUE(machine->roll_back());
    EXPECT_EQ(machine->commit().value(), before);
    EXPECT_EQ(say("m"), "hello, file");
    const auto mapped_root = machine->commit().value();
    EXPECT_NE(mapped_root, before);
    EXPECT_EQ(say("w"), errors::trap_read_only);
    EXPECT_EQ(say("just read"), "hello, file");
    EXPECT_EQ(say("u"), "");
    ASSERT_TRUE(machine->roll_back());
    EXPECT_EQ(say("w"), errors::trap_read_only);
    EXPECT_EQ(machine->commit().value(), mapped_root);
    EXPECT_EQ(say("u"), "");
    EXPECT_EQ(say("w"), "W");
    EXPECT_NE(machine->commit().value(), mapped_root);
}
