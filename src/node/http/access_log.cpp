#include "node/http/access_log.hpp"

#include "base/json.hpp"
#include "base/log.hpp"

#include <cmath>
#include <fmt/chrono.h>

namespace altiplano::node::http {

namespace {
constexpr std::size_t shown_bytes_max = 1024;
}

std::string access_line(const Served& served, std::int64_t wall_ms)
{
    const auto seconds = static_cast<std::time_t>(wall_ms / 1000);
    const auto shown = [](const std::string& text) { return std::string_view(text).substr(0, shown_bytes_max); };
    JsonWriter json;
    json.begin_object()
        .member("time", std::string_view(fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), wall_ms % 1000)))
        .member("peer", shown(served.peer))
        .member("host", shown(served.host))
        .member("method", shown(served.method))
        .member("target", shown(served.target))
        .member("route", shown(served.route))
        .member("status", std::uint64_t{served.status})
        .member("bytes_in", served.bytes_in)
        .member("bytes_out", served.bytes_out)
        .key("ms")
        .number(std::floor(static_cast<double>(served.duration_ns) / 1e3) / 1e3)
        .member("agent", shown(served.agent))
        .end_object();
    return std::move(json).text();
}

Result<std::function<void(const Served&)>> access_log(const std::string& path, Clock& clock)
{
    TRY(auto lines, log::lines_to(path));
    return [lines = std::move(lines), &clock](const Served& served) { lines(access_line(served, clock.wall_ms())); };
}

}  // namespace altiplano::node::http
