#pragma once

#include "base/result.hpp"

#include <fmt/format.h>
#include <functional>
#include <string>
#include <string_view>

/// Lines for the operator, on stderr. What a program needs to know is a Result, never a log line.
namespace altiplano::log {

enum class Level { debug, info, warning, error };

void set_level(Level level);
void write(Level level, std::string_view line);

template <class... Args> void debug(fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args> void info(fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args> void warning(fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args> void error(fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

/// Appends lines to a file, each whole, from any thread; written out at once. The file may be moved away and comes anew with
/// the next start. @param path  "-": stderr @return base.file_failed
Result<std::function<void(std::string_view line)>> lines_to(const std::string& path);

}  // namespace altiplano::log
