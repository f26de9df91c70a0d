#pragma once

#include <string_view>

/// The codes of the room `vm`. Three families, and callers may rely on the prefix:
/// `module.*` follow from the module's bytes alone, so every node refuses alike (the rewriting pass in
/// shim/src/rewrite.rs makes most of them); `trap.*` are GuestFaults and are recorded; `vm.*` are this node's own
/// troubles (HostFaults): never recorded, the slot stays open.
namespace altiplano::vm::errors {

// Refusals of a module.
inline constexpr std::string_view not_wasm = "module.not_wasm";  ///< no wasm header
inline constexpr std::string_view component = "module.component";  ///< a component, not a core module
inline constexpr std::string_view invalid = "module.invalid";  ///< does not validate
inline constexpr std::string_view legacy_exceptions = "module.legacy_exceptions";
inline constexpr std::string_view threads = "module.threads";  ///< atomics or shared memory
inline constexpr std::string_view multi_memory = "module.multi_memory";
inline constexpr std::string_view feature = "module.feature";  ///< GC, custom page sizes, stack switching, ...
inline constexpr std::string_view no_memory = "module.no_memory";
inline constexpr std::string_view imported_memory = "module.imported_memory";
inline constexpr std::string_view imported_state = "module.imported_state";  ///< a table, global or tag is imported
inline constexpr std::string_view table_mutation = "module.table_mutation";
inline constexpr std::string_view segment_mutation = "module.segment_mutation";
inline constexpr std::string_view hidden_state = "module.hidden_state";  ///< a mutable global of a reference type
inline constexpr std::string_view reserved_name = "module.reserved_name";  ///< exports `altiplano:...`
inline constexpr std::string_view over_limit = "module.over_limit";  ///< a size over ours or the engine's
inline constexpr std::string_view unknown_import = "module.unknown_import";
inline constexpr std::string_view bad_import = "module.bad_import";  ///< known name, other type
inline constexpr std::string_view bad_format = "module.bad_format";  ///< another width than its Module-Format says
inline constexpr std::string_view missing_export = "module.missing_export";  ///< or of another type
inline constexpr std::string_view constructors_failed = "module.constructors_failed";  ///< _initialize trapped

// Faults of a guest.
inline constexpr std::string_view trap_unreachable = "trap.unreachable";
inline constexpr std::string_view trap_out_of_bounds = "trap.out_of_bounds";
inline constexpr std::string_view trap_table_out_of_bounds = "trap.table_out_of_bounds";
inline constexpr std::string_view trap_indirect_call = "trap.indirect_call";  ///< null entry or other signature
inline constexpr std::string_view trap_null_reference = "trap.null_reference";
inline constexpr std::string_view trap_integer_overflow = "trap.integer_overflow";
inline constexpr std::string_view trap_division_by_zero = "trap.division_by_zero";
inline constexpr std::string_view trap_bad_conversion = "trap.bad_conversion";
inline constexpr std::string_view trap_exception = "trap.exception";  ///< thrown and never caught
inline constexpr std::string_view trap_out_of_gas = "trap.out_of_gas";
inline constexpr std::string_view trap_depth = "trap.depth";  ///< calls nested too deep
inline constexpr std::string_view trap_abort = "trap.abort";  ///< proc_exit
inline constexpr std::string_view trap_read_only = "trap.read_only";  ///< wrote to a mapped item
inline constexpr std::string_view trap_bad_result = "trap.bad_result";  ///< handle's pointer leads to no text
inline constexpr std::string_view trap_out_of_memory = "trap.out_of_memory";  ///< malloc had no room for the message

// This node's troubles.
inline constexpr std::string_view memory_over_limit = "vm.memory_over_limit";  ///< starts above the process's Memory-Limit
inline constexpr std::string_view memory_not_offered =
    "vm.memory_not_offered";  ///< the process may have more memory than this host offers
inline constexpr std::string_view bad_image = "vm.bad_image";  ///< an image that does not fit the module
inline constexpr std::string_view host_engine = "vm.host_engine";  ///< Wasmtime failed or is built otherwise
inline constexpr std::string_view host_stack = "vm.host_stack";  ///< native stack exhausted before the depth limit
inline constexpr std::string_view host_memory = "vm.host_memory";
inline constexpr std::string_view host_file = "vm.host_file";  ///< an item could not be read
inline constexpr std::string_view file_not_found = "vm.file_not_found";  ///< from GuestFiles::open; the guest sees ENOENT
inline constexpr std::string_view file_not_admitted = "vm.file_not_admitted";  ///< from GuestFiles::open; the guest sees EACCES
inline constexpr std::string_view machine_lost = "vm.machine_lost";  ///< a host fault ended this machine: restore another

}  // namespace altiplano::vm::errors
