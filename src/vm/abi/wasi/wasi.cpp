#include "vm/abi/wasi/wasi.hpp"

#include "vm/abi/ask.hpp"
#include "vm/abi/wasi/path.hpp"

#include <algorithm>
#include <array>

namespace altiplano::vm::abi::wasi {
namespace {

constexpr std::uint32_t root_fd = 3;

enum class FileType : std::uint8_t { unknown = 0, character_device = 2, directory = 3, regular = 4 };

Value value(Errno code)
{
    return static_cast<Value>(code);
}
std::uint32_t fd_of(Value v)
{
    return static_cast<std::uint32_t>(v);
}

Answer<Value> no_such_function(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return value(Errno::nosys);
}

// ---- arguments, environment, clocks, randomness

Answer<Value> no_strings(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return value(Errno::success);
}

Answer<Value> no_strings_sizes(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    ASK_OK(guest.write_pointer(a[0], 0));
    ASK_OK(guest.write_pointer(a[1], 0));
    return value(Errno::success);
}

Answer<Value> clock_time_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (static_cast<std::uint32_t>(a[0]) > 3)
        return value(Errno::inval);
    ASK_OK(put_u64(guest, a[2], guest.clock_ns()));
    return value(Errno::success);
}

Answer<Value> clock_res_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (static_cast<std::uint32_t>(a[0]) > 3)
        return value(Errno::inval);
    ASK_OK(put_u64(guest, a[1], 1000));
    return value(Errno::success);
}

Answer<Value> random_get(Guest& guest, Arguments a)
{
    // The bounds come first: a wild length is a fault, not an empty tank.
    ASK_OK(guest.read(a[0], a[1]));
    ASK_OK(guest.charge(call_gas + random_byte_gas * a[1]));
    ASK(const auto into, guest.write(a[0], a[1]));
    guest.random(into);
    return value(Errno::success);
}

Answer<Value> sched_yield(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return value(Errno::success);
}

Answer<Value> proc_exit(Guest&, Arguments a)
{
    return stop(GuestFault{
        errors::trap_abort, "the guest ended itself with exit code " + std::to_string(static_cast<std::uint32_t>(a[0]))});
}

// ---- descriptors

FileType type_of(Guest& guest, std::uint32_t fd)
{
    if (fd <= 2)
        return FileType::character_device;
    if (fd == root_fd)
        return FileType::directory;
    return guest.open_file(fd) != nullptr ? FileType::regular : FileType::unknown;
}

Answer<Value> fd_fdstat_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    const auto type = type_of(guest, fd_of(a[0]));
    if (type == FileType::unknown)
        return value(Errno::badf);
    // filetype u8, flags u16, two u64 of rights: all, so that libc asks us each time.
    std::array<std::byte, 24> stat{};
    stat[0] = static_cast<std::byte>(type);
    std::fill(stat.begin() + 8, stat.end(), std::byte{0xff});
    ASK_OK(put(guest, a[1], stat));
    return value(Errno::success);
}

Answer<Value> fd_fdstat_set_flags(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    return value(type_of(guest, fd_of(a[0])) == FileType::unknown ? Errno::badf : Errno::success);
}

/// dev, ino, filetype, nlink, size, three times: only type, nlink and size say something.
Answer<Value> put_filestat(Guest& guest, std::uint64_t address, FileType type, std::uint64_t size)
{
    Buffer stat;
    append_u64(stat, 0);
    append_u64(stat, 0);
    append_u64(stat, static_cast<std::uint64_t>(type));
    append_u64(stat, 1);
    append_u64(stat, size);
    stat.resize(64);
    ASK_OK(put(guest, address, stat));
    return value(Errno::success);
}

Answer<Value> fd_filestat_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    const auto fd = fd_of(a[0]);
    const auto type = type_of(guest, fd);
    if (type == FileType::unknown)
        return value(Errno::badf);
    return put_filestat(guest, a[1], type, type == FileType::regular ? guest.open_file(fd)->file->size() : 0);
}

Answer<Value> fd_prestat_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (fd_of(a[0]) != root_fd)
        return value(Errno::badf);
    // tag (0: a directory), then the length of its name as a size_t of the guest.
    Buffer stat(guest.wasm64() ? 16U : 8U);
    stat[guest.wasm64() ? 8 : 4] = std::byte{1};
    ASK_OK(put(guest, a[1], stat));
    return value(Errno::success);
}

Answer<Value> fd_prestat_dir_name(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (fd_of(a[0]) != root_fd)
        return value(Errno::badf);
    if (a[2] < 1)
        return value(Errno::nametoolong);
    ASK_OK(put(guest, a[1], as_bytes("/")));
    return value(Errno::success);
}

Answer<Value> fd_close(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    return value(guest.close_file(fd_of(a[0])) ? Errno::success : Errno::badf);
}

Answer<Value> fd_read(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    const auto fd = fd_of(a[0]);
    ASK(const auto iovs, read_iovs(guest, a[1], a[2]));
    if (!iovs)
        return value(Errno::inval);
    if (fd == 0) {  // standard input is empty
        ASK_OK(guest.write_pointer(a[3], 0));
        return value(Errno::success);
    }
    auto* open = guest.open_file(fd);
    if (open == nullptr)
        return value(fd == root_fd ? Errno::isdir : Errno::badf);
    ASK(const auto total, read_file_at(guest, *open->file, open->offset, *iovs));
    open->offset += total;
    ASK_OK(guest.write_pointer(a[3], total));
    return value(Errno::success);
}

Answer<Value> fd_pread(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    ASK(const auto iovs, read_iovs(guest, a[1], a[2]));
    if (!iovs)
        return value(Errno::inval);
    auto* open = guest.open_file(fd_of(a[0]));
    if (open == nullptr)
        return value(fd_of(a[0]) <= 2 ? Errno::spipe : Errno::badf);
    ASK(const auto total, read_file_at(guest, *open->file, a[3], *iovs));
    ASK_OK(guest.write_pointer(a[4], total));
    return value(Errno::success);
}

Answer<Value> fd_write(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    const auto fd = fd_of(a[0]);
    ASK(const auto iovs, read_iovs(guest, a[1], a[2]));
    if (!iovs)
        return value(Errno::inval);
    if (fd != 1 && fd != 2)
        return value(Errno::badf);
    ASK(const auto total, print(guest, static_cast<int>(fd), *iovs));
    ASK_OK(guest.write_pointer(a[3], total));
    return value(Errno::success);
}

Answer<Value> fd_seek(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    const auto fd = fd_of(a[0]);
    auto* open = guest.open_file(fd);
    if (open == nullptr)
        return value(fd <= 2 ? Errno::spipe : fd == root_fd ? Errno::isdir : Errno::badf);
    const auto whence = static_cast<std::uint32_t>(a[2]);
    if (whence > 2)
        return value(Errno::inval);
    const std::uint64_t from = whence == 0 ? 0 : whence == 1 ? open->offset : open->file->size();
    std::int64_t to = 0;
    if (from > std::uint64_t{INT64_MAX}
        || __builtin_add_overflow(static_cast<std::int64_t>(from), static_cast<std::int64_t>(a[1]), &to) || to < 0)
        return value(Errno::inval);
    ASK_OK(put_u64(guest, a[3], static_cast<std::uint64_t>(to)));
    open->offset = static_cast<std::uint64_t>(to);
    return value(Errno::success);
}

Answer<Value> fd_tell(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    auto* open = guest.open_file(fd_of(a[0]));
    if (open == nullptr)
        return value(fd_of(a[0]) <= 2 ? Errno::spipe : Errno::badf);
    ASK_OK(put_u64(guest, a[1], open->offset));
    return value(Errno::success);
}

// ---- paths

/// The file behind a path argument, an errno, or the root (neither).
struct Found {
    std::unique_ptr<GuestFile> file{};
    Errno code = Errno::success;
};
Answer<Found> find(Guest& guest, std::uint32_t directory, std::uint64_t address, std::uint64_t length)
{
    ASK(const auto bytes, guest.read(address, length));
    ASK_OK(guest.charge(call_gas + open_gas + byte_gas * length));
    if (directory != root_fd)
        return Found{nullptr, guest.open_file(directory) != nullptr || directory <= 2 ? Errno::notdir : Errno::badf};
    const auto path = normal_path(as_text(bytes));
    if (!path)
        return Found{nullptr, path.error()};
    if (path->empty())
        return Found{};
    auto file = guest.files().open(*path);
    if (file)
        return Found{*std::move(file)};
    if (file.error().code == errors::file_not_found)
        return Found{nullptr, Errno::noent};
    if (file.error().code == errors::file_not_admitted)
        return Found{nullptr, Errno::acces};
    return stop(std::move(file).error());
}

Answer<Value> path_open(Guest& guest, Arguments a)
{
    ASK(auto found, find(guest, fd_of(a[0]), a[2], a[3]));
    constexpr std::uint64_t create = 1;
    constexpr std::uint64_t directory = 2;
    constexpr std::uint64_t truncate = 8;
    constexpr std::uint64_t right_to_write = 1U << 6U;
    if ((a[4] & (create | truncate)) != 0 || (a[5] & right_to_write) != 0)
        return value(Errno::rofs);
    if (found.code != Errno::success)
        return value(found.code);
    if (!found.file)  // the root is open already, as the preopened directory
        return value((a[4] & directory) != 0 ? Errno::acces : Errno::isdir);
    if ((a[4] & directory) != 0)
        return value(Errno::notdir);
    ASK_OK(guest.write(a[8], 4));
    const auto fd = guest.add_file(std::move(found.file));
    if (!fd)
        return value(Errno::mfile);
    std::array<std::byte, 4> number{};
    for (std::size_t i = 0; i < 4; ++i)
        number[i] = static_cast<std::byte>(*fd >> (8 * i));
    ASK_OK(put(guest, a[8], number));
    return value(Errno::success);
}

Answer<Value> path_filestat_get(Guest& guest, Arguments a)
{
    ASK(const auto found, find(guest, fd_of(a[0]), a[2], a[3]));
    if (found.code != Errno::success)
        return value(found.code);
    return found.file ? put_filestat(guest, a[4], FileType::regular, found.file->size())
                      : put_filestat(guest, a[4], FileType::directory, 0);
}

// ---- the table: WASI preview 1, whole (WebAssembly/WASI, legacy/preview1/docs.md)

constexpr auto i32 = ValueType::i32;
constexpr auto i64 = ValueType::i64;
constexpr auto p = ValueType::pointer;

HostFunction row(std::string_view name, std::vector<ValueType> parameters, Answer<Value> (*call)(Guest&, Arguments),
    std::optional<ValueType> result = i32)
{
    return {{"wasi_snapshot_preview1", name, std::move(parameters), result}, call};
}

}  // namespace

std::span<const HostFunction> functions()
{
    static const std::vector<HostFunction> table = {
        row("args_get", {p, p}, no_strings),
        row("args_sizes_get", {p, p}, no_strings_sizes),
        row("environ_get", {p, p}, no_strings),
        row("environ_sizes_get", {p, p}, no_strings_sizes),
        row("clock_res_get", {i32, p}, clock_res_get),
        row("clock_time_get", {i32, i64, p}, clock_time_get),
        row("fd_advise", {i32, i64, i64, i32}, no_such_function),
        row("fd_allocate", {i32, i64, i64}, no_such_function),
        row("fd_close", {i32}, fd_close),
        row("fd_datasync", {i32}, no_such_function),
        row("fd_fdstat_get", {i32, p}, fd_fdstat_get),
        row("fd_fdstat_set_flags", {i32, i32}, fd_fdstat_set_flags),
        row("fd_fdstat_set_rights", {i32, i64, i64}, no_such_function),
        row("fd_filestat_get", {i32, p}, fd_filestat_get),
        row("fd_filestat_set_size", {i32, i64}, no_such_function),
        row("fd_filestat_set_times", {i32, i64, i64, i32}, no_such_function),
        row("fd_pread", {i32, p, p, i64, p}, fd_pread),
        row("fd_prestat_get", {i32, p}, fd_prestat_get),
        row("fd_prestat_dir_name", {i32, p, p}, fd_prestat_dir_name),
        row("fd_pwrite", {i32, p, p, i64, p}, no_such_function),
        row("fd_read", {i32, p, p, p}, fd_read),
        row("fd_readdir", {i32, p, p, i64, p}, no_such_function),
        row("fd_renumber", {i32, i32}, no_such_function),
        row("fd_seek", {i32, i64, i32, p}, fd_seek),
        row("fd_sync", {i32}, no_such_function),
        row("fd_tell", {i32, p}, fd_tell),
        row("fd_write", {i32, p, p, p}, fd_write),
        row("path_create_directory", {i32, p, p}, no_such_function),
        row("path_filestat_get", {i32, i32, p, p, p}, path_filestat_get),
        row("path_filestat_set_times", {i32, i32, p, p, i64, i64, i32}, no_such_function),
        row("path_link", {i32, i32, p, p, i32, p, p}, no_such_function),
        row("path_open", {i32, i32, p, p, i32, i64, i64, i32, p}, path_open),
        row("path_readlink", {i32, p, p, p, p, p}, no_such_function),
        row("path_remove_directory", {i32, p, p}, no_such_function),
        row("path_rename", {i32, p, p, i32, p, p}, no_such_function),
        row("path_symlink", {p, p, i32, p, p}, no_such_function),
        row("path_unlink_file", {i32, p, p}, no_such_function),
        row("poll_oneoff", {p, p, p, p}, no_such_function),
        row("proc_exit", {i32}, proc_exit, std::nullopt),
        row("proc_raise", {i32}, no_such_function),
        row("random_get", {p, p}, random_get),
        row("sched_yield", {}, sched_yield),
        row("sock_accept", {i32, i32, p}, no_such_function),
        row("sock_recv", {i32, p, p, i32, p, p}, no_such_function),
        row("sock_send", {i32, p, p, i32, p}, no_such_function),
        row("sock_shutdown", {i32, i32}, no_such_function),
    };
    return table;
}

}  // namespace altiplano::vm::abi::wasi
