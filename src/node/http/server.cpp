// The HTTP server: threads and sockets are its job; in the simulator another one stands in for all of it.
#include "node/http/server.hpp"

#include "base/log.hpp"
#include "node/errors.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>
#include <cctype>
#include <deque>
#include <fmt/format.h>
#include <list>
#include <mutex>

namespace altiplano::node::http {

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using tcp = net::ip::tcp;
using std::chrono::seconds;

constexpr seconds event_pause{15};
constexpr std::size_t piece_bytes = std::size_t{256} * 1024;
// What waits for a client that does not read; beyond it the stream ends, and the client may listen again.
constexpr std::size_t waiting_bytes_max = std::size_t{4} << 20;

std::string decode(std::string_view text)
{
    const auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
            plain += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        } else {
            plain += text[i] == '+' ? ' ' : text[i];
        }
    }
    return plain;
}

std::string_view view(beast::string_view text)
{
    return {text.data(), text.size()};
}

template <class Header> Request to_request(const Header& header)
{
    Request request;
    request.method = std::string(view(header.method_string()));
    request.target = std::string(view(header.target()));
    const auto target = std::string_view(request.target);
    const auto mark = target.find('?');
    request.path = decode(target.substr(0, mark));
    for (auto rest = mark == target.npos ? std::string_view{} : target.substr(mark + 1); !rest.empty();) {
        const auto one = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        const auto equals = one.find('=');
        request.query.emplace_back(decode(one.substr(0, equals)), equals == one.npos ? "" : decode(one.substr(equals + 1)));
    }
    for (const auto& field : header) {
        std::string name(view(field.name_string()));
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        request.headers.emplace_back(std::move(name), view(field.value()));
    }
    return request;
}

bool is_this_machine(std::string_view host)
{
    for (const std::string_view name : {"localhost", "127.0.0.1", "[::1]"})
        if (host == name || (host.starts_with(name) && host.substr(name.size()).starts_with(':')))
            return true;
    return false;
}

/// Events on their way from whoever pushes to the session that writes them.
struct EventQueue {
    explicit EventQueue(const net::any_io_executor& executor)
        : timer(executor)
    {
    }
    std::mutex mutex;
    std::deque<std::string> waiting;
    std::size_t waiting_bytes = 0;
    bool too_slow = false;
    net::steady_timer timer;  ///< touched on the session's strand only
};

class Session : public std::enable_shared_from_this<Session> {
public:
    Session(tcp::socket socket, Site& site, const Server::Options& options, std::shared_ptr<std::atomic<std::size_t>> open)
        : stream_(std::move(socket))
        , site_(site)
        , options_(options)
        , open_(std::move(open))
    {
        ++*open_;
        beast::error_code ignored;
        const auto peer = stream_.socket().remote_endpoint(ignored);
        peer_ = peer.address().to_string();
    }
    ~Session() { --*open_; }

    /// Holds the session while it runs. Static, since a coroutine must own its arguments.
    static net::awaitable<void> life(std::shared_ptr<Session> session) { co_await session->run(); }

private:
    net::awaitable<void> run()
    {
        try {
            for (bool again = true; again;)
                again = co_await serve_one();
        } catch (const boost::system::system_error& gone) {
            // The client went away, or was silent for too long.
            log::debug("a connection ended: {}", gone.code().message());
        }
        beast::error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    }

    net::awaitable<bool> serve_one()
    {
        wire::request_parser<wire::buffer_body> parser;
        parser.header_limit(16 * 1024);
        parser.body_limit(boost::none);
        // Silence between requests is one thing, a header that drips another.
        stream_.expires_after(options_.idle_max);
        if (buffer_.size() == 0)
            buffer_.commit(co_await stream_.async_read_some(buffer_.prepare(piece_bytes), net::use_awaitable));
        stream_.expires_after(options_.header_max);
        beast::error_code bad;
        co_await wire::async_read_header(stream_, buffer_, parser, net::redirect_error(net::use_awaitable, bad));
        if (bad && bad.category() == wire::make_error_code(wire::error::bad_method).category()
            && bad != wire::error::end_of_stream && bad != wire::error::partial_message) {
            auto reply = error_reply({errors::bad_request, fmt::format("this is not HTTP/1.1 as we read it: {}", bad.message()),
                "a header has at most 16 KiB"});
            if (bad == wire::error::header_limit)
                reply.status = 431;
            co_await write(reply, false, false);
            co_return false;
        }
        if (bad)
            throw boost::system::system_error(bad);
        const auto& header = parser.get();
        const bool keep = header.keep_alive();
        auto request = to_request(header);
        request.peer = peer_;
        const bool head = request.method == "HEAD";

        Reply reply;
        if (!is_this_machine(view(header[wire::field::host]))) {
            reply =
                error_reply({errors::bad_host, fmt::format("the Host '{}' is not this machine", view(header[wire::field::host])),
                    "use http://127.0.0.1 or http://localhost"});
        } else {
            auto answer = site_.open(std::move(request));
            if (auto* const at_once = std::get_if<Reply>(&answer)) {
                reply = std::move(*at_once);
                if (head && reply.events)
                    reply = {.content_type = "text/event-stream"};
            } else {
                auto& body = *std::get<std::unique_ptr<Body>>(answer);
                if (beast::iequals(header[wire::field::expect], "100-continue")) {
                    wire::response<wire::empty_body> go_on(wire::status::continue_, 11);
                    co_await wire::async_write(stream_, go_on, net::use_awaitable);
                }
                const auto refused = co_await read_body(parser, body);
                reply = refused ? error_reply(*refused) : body.finish();
            }
        }
        const bool whole = parser.is_done() || co_await skip_small_body(parser);

        // After a body that was not read to its end the connection cannot be used again.
        const bool again = keep && whole && !reply.events;
        if (reply.events)
            co_await write_events(reply);
        else
            co_await write(reply, head, again);
        co_return again;
    }

    net::awaitable<std::optional<Error>> read_body(wire::request_parser<wire::buffer_body>& parser, Body& body)
    {
        Buffer piece(piece_bytes);
        const auto began = net::steady_timer::clock_type::now();
        std::uint64_t taken_bytes = 0;
        while (!parser.is_done()) {
            parser.get().body().data = piece.data();
            parser.get().body().size = piece.size();
            // Whoever drips has as long as the bytes so far deserve.
            const auto deadline = began + options_.idle_max + seconds(taken_bytes / options_.body_rate_min);
            stream_.expires_at(std::min(deadline, net::steady_timer::clock_type::now() + options_.idle_max));
            beast::error_code code;
            co_await wire::async_read_some(stream_, buffer_, parser, net::redirect_error(net::use_awaitable, code));
            if (code && code != wire::error::need_buffer)
                throw boost::system::system_error(code);
            const auto got = piece.size() - parser.get().body().size;
            taken_bytes += got;
            if (auto taken = body.append(Bytes(piece).first(got)); !taken)
                co_return taken.error();
        }
        co_return std::nullopt;
    }

    /// Reads what a request brought along that nobody wanted, if it is little, so that the connection can be used again.
    net::awaitable<bool> skip_small_body(wire::request_parser<wire::buffer_body>& parser)
    {
        constexpr std::uint64_t little = 64 * 1024;
        if (parser.chunked() || parser.content_length_remaining().value_or(little + 1) > little)
            co_return false;
        Buffer piece(little);
        while (!parser.is_done()) {
            parser.get().body().data = piece.data();
            parser.get().body().size = piece.size();
            stream_.expires_after(options_.header_max);
            beast::error_code code;
            co_await wire::async_read(stream_, buffer_, parser, net::redirect_error(net::use_awaitable, code));
            if (code && code != wire::error::need_buffer)
                co_return false;
        }
        co_return true;
    }

    template <class Message> void fill(Message& message, const Reply& reply, bool again)
    {
        message.set(wire::field::server, "altiplano");
        message.set(wire::field::content_type, reply.content_type);
        message.set(wire::field::access_control_allow_origin, "*");
        message.set("X-Content-Type-Options", "nosniff");
        for (const auto& [name, value] : reply.headers)
            message.set(name, value);
        message.keep_alive(again);
    }

    net::awaitable<void> write(Reply& reply, bool head, bool again)
    {
        wire::response<wire::buffer_body> message(static_cast<wire::status>(reply.status), 11);
        fill(message, reply, again);
        const auto length = reply.body.size() + (reply.data ? reply.data_length : 0);
        if (reply.status != 304 && reply.status != 204)
            message.content_length(length);
        const bool nothing = head || length == 0 || reply.status == 304 || reply.status == 204;
        message.body().data = nullptr;
        message.body().more = !nothing;

        wire::response_serializer<wire::buffer_body> serializer(message);
        stream_.expires_after(options_.idle_max);
        beast::error_code code;
        co_await wire::async_write_header(stream_, serializer, net::redirect_error(net::use_awaitable, code));
        if (code && code != wire::error::need_buffer)
            throw boost::system::system_error(code);
        if (nothing)
            co_return;

        Buffer piece;
        for (std::uint64_t done = 0; done < length;) {
            const bool in_body = done < reply.body.size();
            const auto left = in_body ? reply.body.size() - done : length - done;
            const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece_bytes, left));
            if (in_body) {
                message.body().data = reply.body.data() + done;
            } else {
                piece.resize(size);
                // The status is out already: a file that fails now can only be shown by ending early.
                if (!reply.data->read_at(reply.data_offset + done - reply.body.size(), piece))
                    throw boost::system::system_error(net::error::connection_aborted);
                message.body().data = piece.data();
            }
            message.body().size = size;
            done += size;
            message.body().more = done < length;
            stream_.expires_after(options_.idle_max);
            co_await wire::async_write(stream_, serializer, net::redirect_error(net::use_awaitable, code));
            if (code && code != wire::error::need_buffer)
                throw boost::system::system_error(code);
        }
    }

    net::awaitable<void> write_events(Reply& reply)
    {
        reply.content_type = "text/event-stream";
        wire::response<wire::empty_body> message(wire::status::ok, 11);
        fill(message, reply, false);
        message.set(wire::field::cache_control, "no-store");
        wire::response_serializer<wire::empty_body> serializer(message);
        stream_.expires_after(options_.idle_max);
        co_await wire::async_write_header(stream_, serializer, net::use_awaitable);

        auto queue = std::make_shared<EventQueue>(stream_.get_executor());
        [[maybe_unused]] const auto handle = reply.events([queue](std::string event) {
            {
                const std::lock_guard lock(queue->mutex);
                queue->waiting_bytes += event.size();
                queue->too_slow = queue->too_slow || queue->waiting_bytes > waiting_bytes_max;
                if (queue->too_slow)
                    return;
                queue->waiting.push_back(std::move(event));
            }
            net::post(queue->timer.get_executor(), [queue] { queue->timer.cancel(); });
        });
        // Whoever waits for this line knows that nothing printed from now on is missed.
        std::string next = ": listening\n\n";
        for (;;) {
            stream_.expires_after(options_.idle_max);
            co_await net::async_write(stream_, net::buffer(next), net::use_awaitable);
            next.clear();
            {
                const std::lock_guard lock(queue->mutex);
                for (; !queue->waiting.empty(); queue->waiting.pop_front())
                    next += "data: " + queue->waiting.front() + "\n\n";
                queue->waiting_bytes = 0;
                if (queue->too_slow)
                    co_return;
            }
            if (!next.empty())
                continue;
            queue->timer.expires_after(event_pause);
            bool waits;
            {
                const std::lock_guard lock(queue->mutex);
                waits = queue->waiting.empty();
            }
            if (waits) {
                beast::error_code woken;
                co_await queue->timer.async_wait(net::redirect_error(net::use_awaitable, woken));
                if (!woken)
                    next = ": still there\n\n";
            }
        }
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    Site& site_;
    const Server::Options& options_;
    std::shared_ptr<std::atomic<std::size_t>> open_;
    std::string peer_;
};

class BeastServer final : public Server {
public:
    explicit BeastServer(const Options& options)
        : options_(options)
        , pool_(options.threads)
    {
    }
    ~BeastServer() override
    {
        pool_.stop();
        pool_.join();
    }

    Result<void> open(const Endpoint& where)
    {
        auto& acceptor = acceptors_.emplace_back(net::make_strand(pool_));
        beast::error_code code;
        const auto address = net::ip::make_address(options_.address, code);
        const tcp::endpoint endpoint(address, where.port);
        if (!code)
            acceptor.open(endpoint.protocol(), code);
        if (!code)
            acceptor.set_option(net::socket_base::reuse_address(true), code);
        if (!code)
            acceptor.bind(endpoint, code);
        if (!code)
            acceptor.listen(net::socket_base::max_listen_connections, code);
        if (code)
            return fail(errors::cannot_listen,
                fmt::format("cannot listen on {}:{}: {}", options_.address, where.port, code.message()),
                "is another node running? name another --port");
        net::co_spawn(acceptor.get_executor(), accept(acceptor, *where.site), net::detached);
        return {};
    }
    std::vector<std::uint16_t> ports() const override
    {
        std::vector<std::uint16_t> ports;
        for (const auto& acceptor : acceptors_)
            ports.push_back(acceptor.local_endpoint().port());
        return ports;
    }

private:
    net::awaitable<void> accept(tcp::acceptor& acceptor, Site& site)
    {
        for (;;) {
            beast::error_code code;
            auto socket = co_await acceptor.async_accept(net::make_strand(pool_), net::redirect_error(net::use_awaitable, code));
            if (code == net::error::operation_aborted)
                co_return;
            if (code || *open_ >= options_.connections_max)
                continue;  // a socket beyond the limit closes itself here
            socket.set_option(tcp::no_delay(true), code);
            auto executor = socket.get_executor();
            auto session = std::make_shared<Session>(tcp::socket(std::move(socket)), site, options_, open_);
            net::co_spawn(executor, Session::life(session), net::detached);
        }
    }

    const Options options_;
    std::shared_ptr<std::atomic<std::size_t>> open_ = std::make_shared<std::atomic<std::size_t>>(0);
    net::thread_pool pool_;
    std::list<tcp::acceptor> acceptors_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(const std::vector<Endpoint>& endpoints, const Options& options)
{
    auto server = std::make_unique<BeastServer>(options);
    for (const auto& endpoint : endpoints)
        TRY_OK(server->open(endpoint));
    return server;
}

}  // namespace altiplano::node::http
