// Threads that wait for sockets are the server's job.
#include "node/http/loop.hpp"

#include "node/http/session.hpp"

#include <fmt/format.h>

namespace altiplano::node::http {

Loop::Loop(std::chrono::milliseconds look_pause, std::size_t kept_bytes_max)
    : kept(kept_bytes_max)
    , look_pause_(look_pause)
    , look_timer_(context)
    , work_(context.get_executor())
{
}

Loop::~Loop()
{
    stop();
}

void Loop::start()
{
    thread_ = std::thread([this] { context.run(); });
}

void Loop::stop()
{
    context.stop();
    if (thread_.joinable())
        thread_.join();
}

Loop::Counts& Loop::counts(std::string_view route, std::string_view method, unsigned status)
{
    key_.clear();
    fmt::format_to(std::back_inserter(key_), "{} {} {}", status, method, route);
    if (const auto found = counts_.find(key_); found != counts_.end())
        return found->second;
    const std::string name(route.empty() ? "none" : route);
    return counts_
        .emplace(key_,
            Counts{counters::counter("altiplano_http_requests_total", "Requests answered, by route, method and status.",
                       {{"route", name}, {"method", std::string(method)}, {"status", std::to_string(status)}}),
                counters::histogram("altiplano_http_request_seconds",
                    "From a request's header to the end of its reply, by route.", {{"route", name}})})
        .first->second;
}

void Loop::enter(Session& session)
{
    sessions_.insert(&session);
    if (!looking_)
        look_later();
}

/// A look at all sessions every so often costs less than a timer for every read and write.
void Loop::look_later()
{
    looking_ = true;
    look_timer_.expires_after(look_pause_);
    look_timer_.async_wait([this](const boost::system::error_code& code) {
        looking_ = false;
        if (code)
            return;
        const auto now = TimerClock::now();
        for (auto* const session : sessions_)
            session->end_if_late(now);
        if (!sessions_.empty())
            look_later();
    });
}

}  // namespace altiplano::node::http
