// Host calls with addresses that 32 and 34 bits cannot hold.
#include "base/hash.hpp"
#include "vm/errors.hpp"
#include "vm/machine.hpp"
#include "vm/test_map_extension.hpp"
#include "vm/test_wat.hpp"

#include <cstring>
#include <fmt/format.h>

using namespace altiplano;
using namespace altiplano::vm;
using vm::test::guest_wat;
using vm::test::MapExtension;
using vm::test::wat;

namespace {

class Hello final : public GuestFile {
public:
    std::uint64_t size() const override { return text_.size(); }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        std::memcpy(into.data(), text_.data() + offset, into.size());
        return {};
    }
    ItemId item() const override { return ItemId(sha256(as_bytes(text_))); }

private:
    std::string text_ = "hello, file";
};

class OneFile final : public GuestFiles {
public:
    Result<std::unique_ptr<GuestFile>> open(std::string_view path) override
    {
        if (path != "data/hello")
            return fail(errors::file_not_found, "none");
        return std::make_unique<Hello>();
    }
    Result<std::unique_ptr<GuestFile>> mapped_item(ItemId) override { return std::make_unique<Hello>(); }
};

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
    (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ_all (param i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args_all (param i64 i64) (result i32)))
    (import "altiplano" "map" (func $map (param i32 i64 i64 i64) (result i32)))
    (import "altiplano" "unmap" (func $unmap (param i64 i64) (result i32))))";

/// $all(base) makes each call with every address behind the base, and traps unless the bytes there are right. Every call
/// that writes finds -1 there before, so that one which wrote elsewhere is seen.
constexpr std::string_view calls = R"wat(
    (data (i64.const 8192) "all is well")
    (func $is (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then (unreachable))))
    (func $ok (param i32) (call $is (i32.const 0) (local.get 0)))
    (func $fresh (param $at i64) (result i64) (i64.store (local.get $at) (i64.const -1)) (local.get $at))
    (func $written (param $at i64) (if (i64.eq (i64.load (local.get $at)) (i64.const -1)) (then (unreachable))))
    (func $all (param $b i64) (local $fd i32) (local $path i64) (local $iov i64) (local $out i64) (local $bytes i64)
        (local.set $path (i64.add (local.get $b) (i64.const 256)))
        (local.set $iov (i64.add (local.get $b) (i64.const 64)))
        (local.set $out (i64.add (local.get $b) (i64.const 512)))
        (local.set $bytes (i64.add (local.get $b) (i64.const 4096)))
        (i64.store (local.get $path) (i64.const 0x6c65682f61746164)) (i32.store16 offset=8 (local.get $path) (i32.const 0x6f6c))
        (i64.store (local.get $iov) (local.get $bytes)) (i64.store offset=8 (local.get $iov) (i64.const 5))

        (call $ok (call $path_open (i32.const 3) (i32.const 0) (local.get $path) (i64.const 10) (i32.const 0) (i64.const 2)
            (i64.const 0) (i32.const 0) (call $fresh (local.get $out))))
        (call $written (local.get $out)) (local.set $fd (i32.load (local.get $out)))
        (call $ok (call $fd_read (local.get $fd) (local.get $iov) (i64.const 1) (call $fresh (local.get $out))))
        (call $is (i32.const 5) (i32.load (local.get $out))) (call $is (i32.const 0x6c6c6568) (i32.load (local.get $bytes)))
        (call $ok (call $fd_write (i32.const 1) (local.get $iov) (i64.const 1) (call $fresh (local.get $out))))
        (call $is (i32.const 5) (i32.load (local.get $out)))
        (call $ok (call $fd_pread (local.get $fd) (local.get $iov) (i64.const 1) (i64.const 1) (call $fresh (local.get $out))))
        (call $is (i32.const 5) (i32.load (local.get $out))) (call $is (i32.const 0x6f6c6c65) (i32.load (local.get $bytes)))
        (call $ok (call $fd_tell (local.get $fd) (call $fresh (local.get $out)))) (call $is (i32.const 5) (i32.load (local.get $out)))
        (call $ok (call $fd_seek (local.get $fd) (i64.const 1) (i32.const 0) (call $fresh (local.get $out))))
        (call $is (i32.const 1) (i32.load (local.get $out)))
        (call $ok (call $fd_stat (local.get $fd) (call $fresh (local.get $out)))) (call $written (local.get $out))
        (call $ok (call $fd_fdstat (local.get $fd) (call $fresh (local.get $out)))) (call $written (local.get $out))
        (call $ok (call $path_stat (i32.const 3) (i32.const 0) (local.get $path) (i64.const 10) (call $fresh (local.get $out))))
        (call $written (local.get $out))
        (call $ok (call $prestat (i32.const 3) (call $fresh (local.get $out)))) (call $written (local.get $out))
        (call $ok (call $prestat_name (i32.const 3) (call $fresh (local.get $out)) (i64.const 1))) (call $written (local.get $out))
        (call $ok (call $clock (i32.const 0) (i64.const 1) (call $fresh (local.get $out)))) (call $written (local.get $out))
        (call $ok (call $resolution (i32.const 0) (call $fresh (local.get $out)))) (call $written (local.get $out))
        (call $ok (call $random (call $fresh (local.get $out)) (i64.const 8))) (call $written (local.get $out))
        (call $ok (call $environ (call $fresh (local.get $out)) (call $fresh (local.get $bytes))))
        (call $written (local.get $out)) (call $written (local.get $bytes))
        (call $ok (call $environ_all (local.get $out) (local.get $bytes)))
        (call $ok (call $args (call $fresh (local.get $out)) (call $fresh (local.get $bytes))))
        (call $written (local.get $out)) (call $written (local.get $bytes))
        (call $ok (call $args_all (local.get $out) (local.get $bytes)))

        (local.set $bytes (i64.add (local.get $b) (i64.const 131072)))
        (call $ok (call $map (local.get $fd) (i64.const 0) (i64.const 11) (local.get $bytes)))
        (call $is (i32.const 0x6c6c6568) (i32.load (local.get $bytes)))
        (call $ok (call $unmap (local.get $bytes) (i64.const 4096)))
        (call $is (i32.const 0) (i32.load (local.get $bytes)))
        (call $ok (call $fd_close (local.get $fd)))))wat";

}  // namespace

TEST(FarAddresses, behind_32_and_34_bits_serve_in_every_host_call)
{
    const auto cache = ModuleCache::open(Engine::create(Engine::large_reservation_bytes).value(), system_files(), system_random(),
        {.folder = {}, .extensions = {std::make_shared<MapExtension>()}})
                           .value();
    const auto module = cache->compile(wat(guest_wat(R"(
        (if (i64.lt_u (memory.size) (i64.const 524288)) (then (drop (memory.grow (i64.sub (i64.const 524288) (memory.size))))))
        (call $all (i64.const 0x100000000)) (call $all (i64.const 0x400000000)) (call $all (i64.const 0x7fff00000))
        (i64.const 8192))",
        calls, imports, "i64 2 1048576")));
    ASSERT_TRUE(module) << module.error().sentence;
    auto machine = Machine::create(*module, {.memory_bytes = UINT64_MAX}).value();
    OneFile files;
    std::string printed;
    const auto done = machine->handle({.message_json = "{}",
        .env_json = "{}",
        .timestamp_ms = 1000,
        .gas_limit = 1'000'000'000,
        .files = &files,
        .console = [&](int fd, std::string_view text) { printed += fmt::format("{}:{} ", fd, text); }});
    ASSERT_TRUE(done) << done.error().sentence;
    EXPECT_EQ(done->kind, Run::Kind::result) << done->fault_code << ": " << done->fault_sentence;
    EXPECT_EQ(to_string(done->bytes), "all is well");
    EXPECT_EQ(printed, "1:hello 1:hello 1:hello ");
    ASSERT_TRUE(machine->commit());
    EXPECT_LE(machine->describe().used_pages, 16U) << "what was not touched is not there";
}
