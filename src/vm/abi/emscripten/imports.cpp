#include "vm/abi/calls.hpp"
#include "vm/abi/emscripten/emscripten.hpp"
#include "vm/abi/emscripten/files.hpp"
#include "vm/abi/emscripten/time.hpp"

#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <limits>

namespace altiplano::vm::abi::emscripten {

namespace {

// ---- memory

/// How far the loader of a generation lets a heap grow, besides the module's own maximum (ao-protocol.md 6.3).
std::uint64_t heap_bytes_max(const Format& format)
{
    if (format.wasm64)
        return std::uint64_t{1} << 34;
    return format.generation <= 2 ? 524'288'000 : 4'294'901'760;
}

Answer<Value> memory_copy(Guest& guest, Arguments a)
{
    ASK(const auto from, guest.read(a[1], a[2]));
    ASK_OK(guest.charge(call_gas + byte_gas * a[2]));
    ASK(const auto into, guest.write(a[0], a[2]));
    std::memmove(into.data(), from.data(), from.size());
    return a[0];
}

/// Asks for a fifth more than the heap has, or less when that cannot be, as emscripten does: how often malloc asks again
/// follows from it, and so does when memory runs out.
Answer<Value> resize_heap(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    const auto requested = a[0];
    const auto heap = guest.memory_bytes();
    const auto most = heap_bytes_max(guest.module().format());
    if (requested > most || requested <= heap)
        return 0;
    for (int cut = 1; cut <= 4; cut *= 2) {
        const double grown =
            std::min(static_cast<double>(heap) * (1 + 0.2 / cut), static_cast<double>(requested) + 100'663'296.0);
        const double wanted = std::max(static_cast<double>(requested), grown);
        const auto whole = static_cast<std::uint64_t>(wanted);
        const auto size = std::min(most,
            (whole + (static_cast<double>(whole) < wanted ? 1 : 0) + wasm_page_bytes - 1) / wasm_page_bytes * wasm_page_bytes);
        ASK(const auto done, guest.grow_memory((size - heap + wasm_page_bytes - 1) / wasm_page_bytes));
        if (done)
            return 1;
    }
    return 0;
}

Answer<Value> heap_max(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return heap_bytes_max(guest.module().format());
}

// ---- clocks

Answer<Value> now(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    // Early loaders under Node.js answer nothing (1) and, by a mistake, no number (2).
    const auto generation = guest.module().format().generation;
    if (generation <= 2)
        return std::bit_cast<std::uint64_t>(generation == 1 ? 0.0 : std::numeric_limits<double>::quiet_NaN());
    return std::bit_cast<std::uint64_t>(static_cast<double>(guest.ticks()));
}

/// WASI's clock, which modules built for HyperBEAM ask: the same count, in nanoseconds.
Answer<Value> clock_time_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    constexpr std::uint64_t millisecond_ns = 1'000'000;
    ASK_OK(put_u64(guest, a[2], guest.ticks() * millisecond_ns));
    return 0;
}

Answer<Value> date_now(Guest& guest, Arguments a)
{
    if (guest.module().format().generation > 2)
        return now(guest, a);
    ASK_OK(guest.charge(call_gas));
    return std::bit_cast<std::uint64_t>(0.0);
}

// ---- environment

constexpr std::string_view environment[] = {
    "USER=web_user", "LOGNAME=web_user", "PATH=/", "PWD=/", "HOME=/home/web_user", "LANG=C.UTF-8", "_=thisProgram"};

std::span<const std::string_view> environment_of(const Guest& guest)
{
    return guest.module().format().generation < 4 ? std::span<const std::string_view>(environment)
                                                  : std::span<const std::string_view>();
}

Answer<Value> environ_sizes_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    const auto strings = environment_of(guest);
    std::uint64_t bytes = 0;
    for (const auto one : strings)
        bytes += one.size() + 1;
    ASK_OK(guest.write_pointer(a[0], strings.size()));
    ASK_OK(guest.write_pointer(a[1], bytes));
    return 0;
}

Answer<Value> environ_get(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    auto list = a[0];
    auto text = a[1];
    for (const auto one : environment_of(guest)) {
        ASK_OK(guest.write_pointer(list, text));
        ASK_OK(put_text(guest, text, one));
        list += guest.wasm64() ? 8U : 4U;
        text += one.size() + 1;
    }
    return 0;
}

// ---- ends

Answer<Value> abort(Guest&, Arguments)
{
    return stop(GuestFault{errors::trap_abort, "the guest called abort"});
}

Answer<Value> assert_fail(Guest&, Arguments)
{
    return stop(GuestFault{errors::trap_abort, "an assertion of the guest failed"});
}

Answer<Value> throw_exception(Guest&, Arguments)
{
    return stop(GuestFault{errors::trap_exception, "the guest threw an exception that nothing catches"});
}

Answer<Value> exit(Guest&, Arguments a)
{
    return stop(
        GuestFault{errors::trap_abort, fmt::format("the guest ended itself with exit code {}", static_cast<std::int32_t>(a[0]))});
}

Answer<Value> throw_longjmp(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return guest.throw_longjmp();
}

// ---- the rest

Answer<Value> zero(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return 0;
}

Answer<Value> one(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return 1;
}

/// There is no shell: a command fails, and the question whether there is one is answered with no.
Answer<Value> system(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    return a[0] == 0 ? 0 : static_cast<std::uint32_t>(-static_cast<std::int32_t>(Errno::nosys));
}

/// The same for the older builds, in which the host sets errno: what os.execute says comes from there.
Answer<Value> system_and_errno(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    if (a[0] == 0)
        return 0;
    if (const auto& location = guest.module().native().names.errno_location; !location.empty()) {
        ASK(const auto address, guest.call(location, {}));
        ASK(const auto into, guest.write(address, 4));
        const auto number = static_cast<std::uint32_t>(Errno::nosys);
        std::memcpy(into.data(), &number, 4);
    }
    return static_cast<std::uint32_t>(-1);
}

Answer<Value> no_such_function(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return static_cast<std::uint32_t>(-static_cast<std::int32_t>(Errno::nosys));
}

/// What a module says on its own behalf, as it does on stderr.
Answer<Value> say(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(call_gas));
    constexpr std::uint64_t text_bytes_max = 64 << 10;
    const auto size = guest.memory_bytes();
    ASK(const auto bytes, guest.read(a[0], a[0] < size ? std::min(size - a[0], text_bytes_max) : 1));
    const auto text = as_text(bytes);
    const auto line = std::string(text.substr(0, text.find('\0'))) + "\n";
    ASK_OK(guest.charge(byte_gas * line.size()));
    guest.print(2, line);
    return 0;
}

Answer<Value> set_temporary(Guest& guest, Arguments a)
{
    guest.temporary = static_cast<std::uint32_t>(a[0]);
    return 0;
}

Answer<Value> get_temporary(Guest& guest, Arguments)
{
    return guest.temporary;
}

Answer<Value> use_gas(Guest& guest, Arguments a)
{
    ASK_OK(guest.charge(1));
    ASK_OK(guest.meter(static_cast<std::uint32_t>(a[0])));
    return 0;
}

Answer<Value> gas_used(Guest& guest, Arguments)
{
    ASK_OK(guest.charge(call_gas));
    return static_cast<std::uint32_t>(guest.metered());
}

constexpr auto i32 = ValueType::i32;
constexpr auto i64 = ValueType::i64;
constexpr auto f64 = ValueType::f64;
constexpr auto p = ValueType::pointer;

HostFunction row(std::string_view name, std::vector<ValueType> parameters, Answer<Value> (*call)(Guest&, Arguments),
    std::optional<ValueType> result = std::nullopt)
{
    return {{"env", name, std::move(parameters), result}, call};
}

}  // namespace

std::span<const HostFunction> functions()
{
    static const std::vector<HostFunction> table = {
        // memory
        row("_emscripten_memcpy_js", {p, p, p}, memory_copy),
        row("emscripten_memcpy_js", {p, p, p}, memory_copy),
        row("emscripten_memcpy_big", {p, p, p}, memory_copy),
        row("emscripten_resize_heap", {p}, resize_heap, i32),
        row("emscripten_get_heap_max", {}, heap_max, p),
        row("_munmap_js", {p, p, i32, i32, i32, i64}, munmap, i32),
        row("_munmap_js", {p, p, i32, i32, i32, i32}, munmap, i32),
        row("_munmap_js", {p, p, i32, i32, i32, i32, i32}, munmap, i32),
        row("_mmap_js", {p, i32, i32, i32, p, p}, no_such_function, i32),
        row("_mmap_js", {p, i32, i32, i32, p, p, p}, no_such_function, i32),
        // time
        row("emscripten_date_now", {}, date_now, f64),
        row("_emscripten_date_now", {}, date_now, f64),
        row("emscripten_get_now", {}, now, f64),
        row("_emscripten_get_now_is_monotonic", {}, one, i32),
        row("clock_time_get", {i32, i64, p}, clock_time_get, i32),
        row("_gmtime_js", {i64, p}, gmtime),
        row("_gmtime_js", {i32, i32, p}, gmtime_split),
        row("_gmtime_js", {i32, p}, gmtime_at),
        row("_localtime_js", {i64, p}, gmtime),
        row("_localtime_js", {i32, i32, p}, gmtime_split),
        row("_localtime_js", {i32, p}, gmtime_at),
        row("_mktime_js", {p}, mktime, p),
        row("_tzset_js", {p, p, p, p}, tzset),
        row("_tzset_js", {p, p, p}, tzset_old),
        row("strftime", {p, p, p, p}, strftime, p),
        row("strftime_l", {p, p, p, p, p}, strftime, p),
        // environment
        row("environ_get", {p, p}, environ_get, i32),
        row("environ_sizes_get", {p, p}, environ_sizes_get, i32),
        row("_emscripten_system", {p}, system, i32),
        row("system", {p}, system_and_errno, i32),
        row("_dlopen_js", {p}, zero, p),
        row("_dlsym_js", {p, p, p}, zero, p),
        row("_dlsym_js", {p, p}, zero, p),
        row("_dlinit", {p}, zero),
        // ends
        row("abort", {}, abort),
        row("_abort_js", {}, abort),
        row("__assert_fail", {p, p, i32, p}, assert_fail),
        row("__cxa_throw", {p, p, p}, throw_exception),
        row("exit", {i32}, exit),
        row("proc_exit", {i32}, exit),
        row("_emscripten_throw_longjmp", {}, throw_longjmp),
        row("emscripten_err", {p}, say),
        row("emscripten_notify_memory_growth", {p}, zero),
        row("setTempRet0", {i32}, set_temporary),
        row("getTempRet0", {}, get_temporary, i32),
        row("metering.usegas", {i32}, use_gas),
        row("metering_gasUsed", {}, gas_used, i32),
        // files
        row("__asyncjs__weavedrive_open", {p, p}, weavedrive_open, i32),
        row("__asyncjs__weavedrive_read", {i32, p, p}, weavedrive_read, i32),
        row("__asyncjs__weavedrive_close", {i32}, weavedrive_close, i32),
        row("__syscall_openat", {i32, p, i32, p}, openat, i32),
        row("__syscall_fcntl64", {i32, i32, p}, fcntl, i32),
        row("__syscall_ioctl", {i32, i32, p}, ioctl, i32),
        row("__syscall_dup3", {i32, i32, i32}, no_file, i32),
        row("__syscall_unlinkat", {i32, p, i32}, no_file, i32),
        row("__syscall_rmdir", {p}, no_file, i32),
        row("__syscall_renameat", {i32, p, i32, p}, no_file, i32),
        row("__syscall_readlinkat", {i32, p, p, p}, no_file, i32),
        row("__syscall_faccessat", {i32, p, i32, i32}, no_file, i32),
        row("__syscall_chmod", {p, i32}, no_file, i32),
        row("__syscall_fchmod", {i32, i32}, no_file, i32),
        row("__syscall_fchown32", {i32, i32, i32}, no_file, i32),
        row("__syscall_fstat64", {i32, p}, no_file, i32),
        row("__syscall_stat64", {p, p}, no_file, i32),
        row("__syscall_lstat64", {p, p}, no_file, i32),
        row("__syscall_newfstatat", {i32, p, p, i32}, no_file, i32),
        row("__syscall_mkdirat", {i32, p, i32}, no_file, i32),
        row("__syscall_utimensat", {i32, p, p, i32}, no_file, i32),
        row("__syscall_ftruncate64", {i32, i64}, no_file, i32),
        row("__syscall_ftruncate64", {i32, i32, i32}, no_file, i32),
        row("__syscall_getcwd", {p, p}, getcwd, i32),
        row("fd_close", {i32}, fd_close, i32),
        row("fd_read", {i32, p, p, p}, fd_read, i32),
        row("fd_write", {i32, p, p, p}, fd_write, i32),
        row("fd_seek", {i32, i64, i32, p}, fd_seek, i32),
        row("fd_seek", {i32, i32, i32, i32, p}, fd_seek_split, i32),
        row("fd_sync", {i32}, fd_sync, i32),
        row("fd_fdstat_get", {i32, p}, fd_fdstat_get, i32),
    };
    return table;
}

}  // namespace altiplano::vm::abi::emscripten
