#pragma once

#include "node/http/loop.hpp"
#include "node/http/rate_limit.hpp"
#include "node/http/server.hpp"

#include <array>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <exception>
#include <map>
#include <mutex>

namespace altiplano::node::http {

/// What the sessions of a server share; outlives them all.
struct Shared {
    explicit Shared(const Server::Options& given, Gate the_gate)
        : options(given)
        , gate(std::move(the_gate))
        , rate(given.address_rate)
    {
    }
    const Server::Options options;
    const Gate gate;
    RateLimit rate;
    std::atomic<bool> draining = false;
    boost::asio::thread_pool* workers = nullptr;  ///< where a site is asked, which may block
    std::mutex mutex;  ///< of what follows
    std::set<Session*> sessions{};
    std::map<std::string, std::size_t> of_address{};

    /// Replies that come later may come when the server is gone: they post to its threads only while this is open.
    struct Threads {
        std::mutex mutex;
        bool open = true;
    };
    std::shared_ptr<Threads> threads = std::make_shared<Threads>();

    /// Whether one more connection may come from there. @param peer  its address
    bool has_room(const std::string& peer);
    /// Those that are there now. Let go of them without `mutex`.
    std::vector<std::shared_ptr<Session>> all();
};

/// One connection: requests one after the other. Everything of it happens on the thread of its loop, but for what `aside` runs
/// while the session waits for that.
class Session : public std::enable_shared_from_this<Session> {
public:
    Session(LoopSocket socket, std::string peer, Site& site, Loop& loop, std::shared_ptr<Shared> shared);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Registers it, once, when a shared pointer holds it.
    void enter();
    /// Holds the session while it runs. Static, since a coroutine must own its arguments.
    static Awaitable<void> life(std::shared_ptr<Session> session);
    /// Ends a connection that waits for its next request, and streams of events. From any thread.
    void nudge();
    /// Ends what it waits for on its socket, if that has lasted too long.
    void end_if_late(TimerClock::time_point now);

private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
    using ErrorCode = boost::beast::error_code;
    using Parts = std::array<boost::asio::const_buffer, 3>;  ///< empty ones at its end

    Awaitable<void> run();
    Awaitable<bool> serve_one();
    Awaitable<ErrorCode> read_header(Parser& parser);
    /// The reply to a request whose header is there; reads its body. @param whole  whether nothing of it is left unread
    Awaitable<Reply> reply_to(Parser& parser, Served& served, bool& whole);
    /// What is wrong with a header, if something is.
    std::optional<Reply> refusal(const Parser& parser, ErrorCode bad) const;
    /// A reply that is kept for such a request.
    std::shared_ptr<const KeptReplies::Kept> kept_for(const Parser& parser);
    Awaitable<bool> write_kept(const KeptReplies::Kept& kept, const Parser& parser, TimerClock::time_point began);
    /// A body that is in the buffer whole. Nothing when it is not, or there is none.
    std::optional<Buffer> body_at_hand(const Parser& parser);
    Awaitable<Reply> read_body(Parser& parser, Body& body, std::uint64_t& taken_bytes);
    Awaitable<bool> skip_small_body(Parser& parser);
    /// A reply that comes later; ends when the client goes away before.
    Awaitable<Reply> wait_for(Reply reply);
    bool client_is_gone();
    Awaitable<std::uint64_t> write(Reply& reply, bool head, bool again);
    Awaitable<void> write_all(Parts parts);
    Awaitable<void> write_events(Reply& reply);
    void count(const Served& served);

    /// Runs what may block on one of the server's other threads; returns to this one.
    template <class Work> Awaitable<void> aside(Work& work)
    {
        std::exception_ptr broken;
        deadline_ = TimerClock::time_point::max();
        auto begin = [&work, &broken, workers = shared_->workers](auto handler) {
            boost::asio::post(workers->get_executor(), [&work, &broken, handler = std::move(handler)]() mutable {
                try {
                    work();
                } catch (...) {
                    broken = std::current_exception();
                }
                const auto back = boost::asio::get_associated_executor(handler);
                boost::asio::post(back, std::move(handler));
            });
        };
        co_await boost::asio::async_initiate<const decltype(awaited), void()>(begin, awaited);
        if (broken)
            std::rethrow_exception(broken);
    }

    void expires_at(TimerClock::time_point when)
    {
        deadline_ = when;
        late_ = false;
    }
    void expires_after(TimerClock::duration time) { expires_at(TimerClock::now() + time); }
    /// What ended an operation: our own deadline has a code of its own.
    ErrorCode ended_by(ErrorCode code) const;

    LoopSocket socket_;
    boost::beast::flat_buffer buffer_;
    Site& site_;
    Loop& loop_;
    std::shared_ptr<Shared> shared_;
    const Server::Options& options_;
    const std::string peer_;
    bool between_requests_ = false;
    TimerClock::time_point deadline_ = TimerClock::time_point::max();
    bool late_ = false;
    std::shared_ptr<LoopTimer> events_timer_;  ///< of the stream of events under way
};

/// Status line and header fields of a reply, without the empty line behind them. What is no text of a header is left out.
std::string head_of(const Reply& reply);

}  // namespace altiplano::node::http
