#pragma once

#include "vm/extension.hpp"

#include <expected>
#include <string>
#include <string_view>

namespace altiplano::vm::abi::wasi {

/// A guest's path relative to "/": without leading, double and trailing slashes and without "." parts.
/// Empty for the root itself. @return notcapable for "..", inval for a NUL, nametoolong over 4096 bytes
std::expected<std::string, Errno> normal_path(std::string_view path);

}  // namespace altiplano::vm::abi::wasi
