#include "base/log.hpp"

#include "base/errors.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace altiplano::log {

namespace {

spdlog::logger& logger()
{
    static const auto instance = [] {
        auto made = spdlog::stderr_logger_mt("altiplano");
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-7l %v", spdlog::pattern_time_type::utc);
        made->set_level(spdlog::level::info);
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum spd(Level level)
{
    switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    }
    return spdlog::level::err;
}

}  // namespace

void set_level(Level level)
{
    logger().set_level(spd(level));
}
void write(Level level, std::string_view line)
{
    logger().log(spd(level), spdlog::string_view_t(line.data(), line.size()));
}

Result<std::function<void(std::string_view)>> lines_to(const std::string& path)
{
    try {
        spdlog::sink_ptr sink;
        if (path == "-")
            sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
        else
            sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
        auto lines = std::make_shared<spdlog::logger>("lines", sink);
        lines->set_pattern("%v");
        lines->flush_on(spdlog::level::info);
        return [lines](std::string_view line) { lines->info(spdlog::string_view_t(line.data(), line.size())); };
    } catch (const spdlog::spdlog_ex& failed) {
        return fail(errors::file_failed, fmt::format("cannot write lines to {}: {}", path, failed.what()));
    }
}

}  // namespace altiplano::log
