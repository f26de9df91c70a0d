#include "vm/abi/calls.hpp"
#include "vm/abi/emscripten/emscripten.hpp"

#include <algorithm>

namespace altiplano::vm::abi::emscripten {

namespace {

/// The letters that emscripten's minifier gave to the one build that all modules of the first generation share
/// (ao-protocol.md 6.5).
constexpr std::pair<std::string_view, std::string_view> letters[] = {
    {"a", "_emscripten_date_now"},
    {"b", "setTempRet0"},
    {"c", "fd_close"},
    {"d", "__syscall_fcntl64"},
    {"e", "__syscall_unlinkat"},
    {"f", "fd_write"},
    {"g", "__syscall_openat"},
    {"h", "getTempRet0"},
    {"i", "_mktime_js"},
    {"j", "_tzset_js"},
    {"k", "emscripten_memcpy_big"},
    {"l", "exit"},
    {"m", "system"},
    {"n", "strftime"},
    {"o", "fd_seek"},
    {"p", "_emscripten_throw_longjmp"},
    {"q", "emscripten_resize_heap"},
    {"r", "__syscall_lstat64"},
    {"s", "__syscall_renameat"},
    {"t", "__syscall_rmdir"},
    {"u", "environ_get"},
    {"v", "environ_sizes_get"},
    {"w", "__syscall_dup3"},
    {"x", "invoke_vii"},
    {"y", "fd_read"},
    {"z", "__syscall_ioctl"},
    {"A", "_emscripten_get_now_is_monotonic"},
    {"B", "_gmtime_js"},
    {"C", "_localtime_js"},
    {"D", "abort"},
};

}  // namespace

std::string_view plain_name(const Format& format, std::string_view module, std::string_view name)
{
    if (module == "metering" && format.metering == Format::Metering::imported)
        return name == "usegas" ? "metering.usegas" : "";
    if (format.generation == 1) {
        const auto* const found = std::ranges::find(letters, name, &std::pair<std::string_view, std::string_view>::first);
        return module == "a" && found != std::end(letters) ? found->second : "";
    }
    return module == "env" || module == "wasi_snapshot_preview1" ? name : "";
}

std::span<const ExportRow> exports(int generation)
{
    constexpr auto pointer = ValueType::pointer;
    constexpr auto i32 = ValueType::i32;
    static const std::vector<ExportRow> minified{
        {&Exports::handle, {"G"}, {pointer, pointer}, pointer},
        {&Exports::allocate, {"J"}, {pointer}, pointer, false},
        {&Exports::constructors, {"F"}, {}, std::nullopt, false},
        {&Exports::main, {"H"}, {i32, pointer}, i32, false},
        {&Exports::table, {"I"}, {}, std::nullopt, false, true},
        {&Exports::stack_save, {"M"}, {}, pointer},
        {&Exports::stack_restore, {"N"}, {pointer}, std::nullopt},
        {&Exports::stack_alloc, {"O"}, {pointer}, pointer},
        {&Exports::set_threw, {"L"}, {pointer, i32}, std::nullopt, false, true},
        {&Exports::errno_location, {"K"}, {}, pointer, false},
    };
    static const std::vector<ExportRow> plain{
        {&Exports::handle, {"handle"}, {pointer, pointer}, pointer},
        {&Exports::allocate, {"malloc"}, {pointer}, pointer, false},
        {&Exports::release, {"free"}, {pointer}, std::nullopt, false},
        {&Exports::constructors, {"__wasm_call_ctors"}, {}, std::nullopt, false},
        {&Exports::main, {"main"}, {i32, pointer}, i32, false},
        {&Exports::table, {"__indirect_function_table"}, {}, std::nullopt, false, true},
        {&Exports::stack_init, {"emscripten_stack_init"}, {}, std::nullopt, false},
        {&Exports::stack_end, {"emscripten_stack_get_end"}, {}, pointer, false},
        {&Exports::stack_save, {"stackSave", "emscripten_stack_get_current"}, {}, pointer},
        {&Exports::stack_restore, {"stackRestore", "_emscripten_stack_restore"}, {pointer}, std::nullopt},
        {&Exports::stack_alloc, {"stackAlloc", "_emscripten_stack_alloc"}, {pointer}, pointer},
        {&Exports::set_threw, {"setThrew"}, {pointer, i32}, std::nullopt, false, true},
        {&Exports::set_temporary, {"_emscripten_tempret_set"}, {i32}, std::nullopt, false},
        {&Exports::errno_location, {"__errno_location"}, {}, pointer, false},
    };
    return generation == 1 ? minified : plain;
}

}  // namespace altiplano::vm::abi::emscripten
