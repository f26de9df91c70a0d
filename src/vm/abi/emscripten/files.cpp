#include "vm/abi/emscripten/files.hpp"

#include "vm/abi/emscripten/asyncify.hpp"
#include "vm/abi/wasi/path.hpp"

#include <array>

namespace altiplano::vm::abi::emscripten {

namespace {

constexpr std::uint64_t path_bytes_max = 4096;

/// An errno as a syscall gives it.
Value failed(Errno code)
{
    return static_cast<std::uint32_t>(-static_cast<std::int32_t>(code));
}
Value value(Errno code)
{
    return static_cast<Value>(code);
}
std::uint32_t fd_of(Value v)
{
    return static_cast<std::uint32_t>(v);
}
bool is_stream(std::uint32_t fd)
{
    return fd <= 2;
}
/// Modules of the first generation have no files at all: their loader answers as if each call had gone well.
bool has_files(const Guest& guest)
{
    return guest.module().format().generation > 1;
}

Answer<std::string> path_at(Guest& guest, std::uint64_t address)
{
    const auto size = guest.memory_bytes();
    ASK(const auto bytes, guest.read(address, address < size ? std::min(size - address, path_bytes_max + 1) : 1));
    const auto text = as_text(bytes);
    const auto path = text.substr(0, text.find('\0'));
    ASK_OK(guest.charge(byte_gas * path.size()));
    return std::string(path);
}

/// Whether a path is one of the weave's: what is there opens, what is not stops the message.
bool is_weave_path(std::string_view path)
{
    for (const auto* front : {"data/", "tx/", "tx2/", "block/"})
        if (path.starts_with(front))
            return true;
    return false;
}

/// @return a descriptor; nothing when there is no such file. @param halts  a path of the weave that cannot be opened ends
/// the message, as WeaveDrive means to (ao-protocol.md 7.1)
Answer<std::optional<std::uint32_t>> open_path(Guest& guest, std::string_view path, bool halts)
{
    ASK_OK(guest.charge(call_gas + open_gas));
    const auto normal = wasi::normal_path(path);
    if (!normal || !is_weave_path(*normal))
        return std::nullopt;
    auto file = guest.files().open(*normal);
    if (file)
        return guest.add_file(*std::move(file));
    const auto code = file.error().code;
    if (code != errors::file_not_found && code != errors::file_not_admitted)
        return stop(std::move(file).error());
    if (halts)
        return stop(GuestFault{errors::trap_abort, "HALT: FILE NOT FOUND: /" + *normal});
    return std::nullopt;
}

}  // namespace

Answer<Value> weavedrive_open(Guest& guest, Arguments a)
{
    return answer_asleep(guest, [&]() -> Answer<Value> {
        ASK(const auto path, path_at(guest, a[0]));
        ASK(const auto fd, open_path(guest, path, true));
        return fd.value_or(0);
    });
}

namespace {

Answer<Value> read_from_start(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    auto* open = guest.open_file(fd_of(a[0]));
    if (open == nullptr)
        return 0;
    // All AO code reads a file as `file:read(file:seek("end"))` and gets it from its start (ao-protocol.md 7.2).
    if (open->sought_end)
        open->offset = 0;
    open->sought_end = false;
    ASK(const auto total, read_file_at(guest, *open->file, open->offset, {{a[1], a[2]}}));
    open->offset += total;
    return static_cast<std::uint32_t>(total);
}

}  // namespace

Answer<Value> weavedrive_read(Guest& guest, Arguments a)
{
    return answer_asleep(guest, [&] { return read_from_start(guest, a); });
}

Answer<Value> weavedrive_close(Guest& guest, Arguments a)
{
    return answer_asleep(guest, [&]() -> Answer<Value> {
        ASK_OK(guest.charge(call_gas));
        guest.close_file(fd_of(a[0]));
        return 0;
    });
}

Answer<Value> openat(Guest& guest, Arguments a)
{
    if (!has_files(guest))
        return 0;
    ASK(const auto path, path_at(guest, a[1]));
    constexpr std::uint64_t access_mode = 3;
    constexpr std::uint64_t create = 0100;
    if ((a[2] & (access_mode | create)) != 0) {
        ASK_OK(guest.charge(call_gas));
        return failed(Errno::rofs);
    }
    ASK(const auto fd, open_path(guest, path, false));
    return fd ? *fd : failed(Errno::noent);
}

Answer<Value> fcntl(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (!has_files(guest))
        return 0;
    if (!is_stream(fd_of(a[0])) && guest.open_file(fd_of(a[0])) == nullptr)
        return failed(Errno::badf);
    // F_GETFD, F_SETFD, F_GETFL, F_SETFL, and locks that are always there to be had.
    return fd_of(a[1]) >= 1 && fd_of(a[1]) <= 7 && a[1] != 5 ? 0 : failed(Errno::inval);
}

Answer<Value> ioctl(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (!has_files(guest))
        return 0;
    if (is_stream(fd_of(a[0])))
        return 0;  // a terminal of no known size
    return guest.open_file(fd_of(a[0])) == nullptr ? failed(Errno::badf) : failed(Errno::notty);
}

Answer<Value> no_file(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return has_files(guest) ? failed(Errno::noent) : 0;
}

Answer<Value> getcwd(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (a[1] < 2)
        return failed(Errno::range);
    ASK_OK(put(guest, a[0], as_bytes(std::string_view("/\0", 2))));
    return 2;
}

Answer<Value> munmap(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return 0;
}

Answer<Value> fd_close(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (!has_files(guest))
        return value(Errno::nosys);
    return value(is_stream(fd_of(a[0])) || guest.close_file(fd_of(a[0])) ? Errno::success : Errno::badf);
}

Answer<Value> fd_read(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (!has_files(guest))
        return value(Errno::nosys);
    ASK(const auto iovs, read_iovs(guest, a[1], a[2]));
    if (!iovs)
        return value(Errno::inval);
    std::uint64_t total = 0;
    if (!is_stream(fd_of(a[0]))) {  // standard input is empty
        auto* open = guest.open_file(fd_of(a[0]));
        if (open == nullptr)
            return value(Errno::badf);
        ASK(total, read_file_at(guest, *open->file, open->offset, *iovs));
        open->offset += total;
    }
    ASK_OK(guest.write_pointer(a[3], total));
    return value(Errno::success);
}

Answer<Value> fd_write(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    ASK(const auto iovs, read_iovs(guest, a[1], a[2]));
    if (!iovs)
        return value(Errno::inval);
    if (fd_of(a[0]) != 1 && fd_of(a[0]) != 2)
        return value(Errno::badf);
    ASK(const auto total, print(guest, static_cast<int>(a[0]), *iovs));
    // The loader looks at its clock to date the terminal, once for each piece.
    if (guest.module().format().generation == 4)
        for (const auto& iov : *iovs)
            if (iov.length > 0)
                (void)guest.ticks();
    ASK_OK(guest.write_pointer(a[3], total));
    return value(Errno::success);
}

namespace {

Answer<Value> seek(Guest& guest, std::uint32_t fd, std::int64_t by, std::uint32_t whence, std::uint64_t where)
{
    ASK_OK(guest.charge(call_gas));
    if (!has_files(guest) || is_stream(fd))
        return value(Errno::spipe);
    auto* open = guest.open_file(fd);
    if (open == nullptr)
        return value(Errno::badf);
    if (whence > 2)
        return value(Errno::inval);
    const std::uint64_t from = whence == 0 ? 0 : whence == 1 ? open->offset : open->file->size();
    std::int64_t to = 0;
    if (from > std::uint64_t{INT64_MAX} || __builtin_add_overflow(static_cast<std::int64_t>(from), by, &to) || to < 0)
        return value(Errno::inval);
    ASK_OK(put_u64(guest, where, static_cast<std::uint64_t>(to)));
    open->offset = static_cast<std::uint64_t>(to);
    // `ftell`, which follows in `file:seek("end")`, asks for the place by a seek that moves nothing.
    open->sought_end = by == 0 && (whence == 2 || (whence == 1 && open->sought_end));
    return value(Errno::success);
}

}  // namespace

Answer<Value> fd_seek(Guest& guest, Arguments a)
{
    return seek(guest, fd_of(a[0]), static_cast<std::int64_t>(a[1]), static_cast<std::uint32_t>(a[2]), a[3]);
}

Answer<Value> fd_seek_split(Guest& guest, Arguments a)
{
    return seek(guest, fd_of(a[0]), static_cast<std::int64_t>((a[2] << 32U) | static_cast<std::uint32_t>(a[1])),
        static_cast<std::uint32_t>(a[3]), a[4]);
}

Answer<Value> fd_sync(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    return value(is_stream(fd_of(a[0])) || guest.open_file(fd_of(a[0])) != nullptr ? Errno::success : Errno::badf);
}

Answer<Value> fd_fdstat_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    const bool stream = is_stream(fd_of(a[0]));
    if (!stream && guest.open_file(fd_of(a[0])) == nullptr)
        return value(Errno::badf);
    std::array<std::byte, 24> stat{};
    stat[0] = std::byte{stream ? std::uint8_t{2} : std::uint8_t{4}};
    ASK_OK(put(guest, a[1], stat));
    return value(Errno::success);
}

}  // namespace altiplano::vm::abi::emscripten
