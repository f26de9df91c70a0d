#pragma once

#include "base/files.hpp"

#include <string>

namespace altiplano::cli {

/// A Lua file and the local files that it requires, as one text that a process evaluates: each required file becomes a
/// preloaded module, the innermost first (what aos's `.load` does, ao-protocol.md 9.4). `require("a.b")` is a/b.lua beside the
/// file that asks, then beside the first file; a name that is no file stays the process's business.
/// @return cli.no_lua_file when the name does not end in .lua or the file is missing, cli.bad_argument when files require each
///         other in a circle, base.*
Result<std::string> bundle(Files& files, const Path& path);

/// `text` as a Lua long string.
std::string lua_quoted(const std::string& text);

}  // namespace altiplano::cli
