#pragma once

#include "base/counters.hpp"
#include "node/http/kept_replies.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <set>
#include <thread>

namespace altiplano::node::http {

class Session;

using TimerClock = std::chrono::steady_clock;
// The executor by its own type: behind asio's any_io_executor every step of every operation costs an allocation or two.
using LoopExecutor = boost::asio::io_context::executor_type;
using LoopSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, LoopExecutor>;
using LoopTimer = boost::asio::basic_waitable_timer<TimerClock, boost::asio::wait_traits<TimerClock>, LoopExecutor>;
template <class T> using Awaitable = boost::asio::awaitable<T, LoopExecutor>;
inline constexpr boost::asio::use_awaitable_t<LoopExecutor> awaited{};

/// One thread and the sockets that it serves: whatever may block is done elsewhere. Its members are its thread's own, but for
/// `context`.
class Loop {
public:
    /// @param look_pause  between two looks at which sessions are too late
    Loop(std::chrono::milliseconds look_pause, std::size_t kept_bytes_max);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void start();
    /// Waits for what it is doing. Once.
    void stop();

    /// What happened to the request of a route: how often, and how long it took.
    struct Counts {
        counters::Counter& requests;
        counters::Histogram& seconds;
    };
    Counts& counts(std::string_view route, std::string_view method, unsigned status);

    /// From when a session runs until it ends its deadlines are looked after.
    void enter(Session& session);
    void leave(Session& session) { sessions_.erase(&session); }

    boost::asio::io_context context{1};
    KeptReplies kept;

private:
    void look_later();

    const std::chrono::milliseconds look_pause_;
    LoopTimer look_timer_;
    bool looking_ = false;
    std::set<Session*> sessions_;
    std::unordered_map<std::string, Counts> counts_;
    std::string key_;  ///< of `counts_`, written anew each time
    boost::asio::executor_work_guard<LoopExecutor> work_;
    std::thread thread_;
};

}  // namespace altiplano::node::http
