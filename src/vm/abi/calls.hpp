#pragma once

#include "vm/abi/exports.hpp"
#include "vm/extension.hpp"

#include <span>

namespace altiplano::vm {
class Guest;
}

/// How a process is made and how a message gets into it: each ABI in its own way.
namespace altiplano::vm::abi {

/// An export that an ABI looks for: the names it goes by, its type, and whether a module may lack it.
struct ExportRow {
    std::string Exports::* role;
    std::vector<std::string_view> names;
    std::vector<ValueType> parameters;
    std::optional<ValueType> result;
    bool needed = true;
    bool for_invoke = false;  ///< needed by modules that import an `invoke_*`
};

/// Data segments and start function, as the rewriting pass leaves them, then the constructors. Both ABIs begin so.
Answer<void> begin_construction(Guest& guest);
/// The bytes at `address` up to a NUL.
Answer<Buffer> take_text(Guest& guest, Value address);
/// Writes text with a NUL behind it. @param address  has room for both
Answer<void> put_text(Guest& guest, Value address, std::string_view text);
/// Puts text with a NUL behind it into a buffer from the guest's malloc.
Answer<Value> allocate_text(Guest& guest, std::string_view text);

namespace wasi {
std::span<const ExportRow> exports();
Answer<void> construct(Guest& guest);
/// @return what the guest answered
Answer<Buffer> handle(Guest& guest, std::string_view message, std::string_view env);
}  // namespace wasi

namespace emscripten {
std::span<const ExportRow> exports(int generation);
Answer<void> construct(Guest& guest);
Answer<Buffer> handle(Guest& guest, std::string_view message, std::string_view env);
}  // namespace emscripten

}  // namespace altiplano::vm::abi
