#pragma once

#include "node/http/server.hpp"

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <map>
#include <mutex>
#include <set>

namespace altiplano::node::http {

class Session;

/// What the sessions of a server share; outlives them all.
struct Shared {
    explicit Shared(const Server::Options& given, Gate the_gate)
        : options(given)
        , gate(std::move(the_gate))
    {
    }
    const Server::Options options;
    const Gate gate;
    std::atomic<bool> draining = false;
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

/// One connection: requests one after the other. Everything of it happens on its own strand.
class Session : public std::enable_shared_from_this<Session> {
public:
    Session(boost::asio::ip::tcp::socket socket, std::string peer, Site& site, std::shared_ptr<Shared> shared);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Registers it, once, when a shared pointer holds it.
    void enter();
    /// Holds the session while it runs. Static, since a coroutine must own its arguments.
    static boost::asio::awaitable<void> life(std::shared_ptr<Session> session);
    /// Ends a connection that waits for its next request, and streams of events. From any thread.
    void nudge();

private:
    template <class T> using Awaitable = boost::asio::awaitable<T>;
    using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

    Awaitable<void> run();
    Awaitable<bool> serve_one();
    /// What is wrong with a header, if something is.
    std::optional<Reply> refusal(const Parser& parser, boost::beast::error_code bad) const;
    Awaitable<std::optional<Error>> read_body(Parser& parser, Body& body, std::uint64_t& taken_bytes);
    Awaitable<bool> skip_small_body(Parser& parser);
    /// A reply that comes later; ends when the client goes away before.
    Awaitable<Reply> wait_for(Reply reply);
    bool client_is_gone();
    template <class Message> void fill(Message& message, const Reply& reply, bool again);
    Awaitable<std::uint64_t> write(Reply& reply, bool head, bool again);
    Awaitable<void> write_events(Reply& reply);

    boost::beast::tcp_stream stream_;
    boost::beast::flat_buffer buffer_;
    Site& site_;
    std::shared_ptr<Shared> shared_;
    const Server::Options& options_;
    const std::string peer_;
    bool between_requests_ = false;
    std::shared_ptr<boost::asio::steady_timer> events_timer_;  ///< of the stream of events under way
};

}  // namespace altiplano::node::http
