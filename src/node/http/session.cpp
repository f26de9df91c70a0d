#include "node/http/session.hpp"

#include "base/counters.hpp"
#include "base/log.hpp"
#include "node/errors.hpp"
#include "node/http/wire.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <deque>
#include <fmt/format.h>
#include <sys/socket.h>

namespace altiplano::node::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using tcp = asio::ip::tcp;
using std::chrono::seconds;
using TimerClock = asio::steady_timer::clock_type;

constexpr seconds event_pause{15};
constexpr seconds look_pause{1};  ///< between two looks at whether a client still waits
constexpr std::size_t piece_bytes = std::size_t{64} * 1024;
// What waits for a client that does not read; beyond it the stream ends, and the client may listen again.
constexpr std::size_t waiting_bytes_max = std::size_t{4} << 20;

/// Something on its way to a session from another thread: a reply, or events.
struct Mail {
    explicit Mail(std::shared_ptr<asio::steady_timer> bell)
        : timer(std::move(bell))
    {
    }
    std::mutex mutex;
    std::optional<Reply> reply;
    std::deque<std::string> events;
    std::size_t events_bytes = 0;
    bool too_slow = false;
    std::shared_ptr<asio::steady_timer> timer;  ///< touched on the session's strand only
};

/// Has the session look, if there still is one.
void ring(const std::weak_ptr<Mail>& mail, Shared::Threads& threads)
{
    const std::lock_guard open(threads.mutex);
    if (!threads.open)
        return;
    if (const auto there = mail.lock())
        asio::post(there->timer->get_executor(), [timer = there->timer] { timer->cancel(); });
}

void count(const Served& served)
{
    counters::counter("altiplano_http_requests_total", "Requests answered, by route, method and status.",
        {{"route", served.route.empty() ? "none" : served.route}, {"method", served.route.empty() ? "any" : served.method},
            {"status", std::to_string(served.status)}})
        .add();
    static auto& in = counters::counter("altiplano_http_body_bytes_in_total", "Bytes of bodies taken.");
    static auto& out = counters::counter("altiplano_http_body_bytes_out_total", "Bytes of bodies sent.");
    in.add(served.bytes_in);
    out.add(served.bytes_out);
    counters::histogram("altiplano_http_request_seconds", "From a request's header to the end of its reply, by route.",
        {{"route", served.route.empty() ? "none" : served.route}})
        .observe_ns(served.duration_ns);
}

}  // namespace

bool Shared::has_room(const std::string& peer)
{
    const std::lock_guard lock(mutex);
    if (sessions.size() >= options.connections_max)
        return false;
    if (peer == "::1" || peer.starts_with("127.") || gate.is_proxy(peer))
        return true;
    const auto from_there = of_address.find(peer);
    return from_there == of_address.end() || from_there->second < options.address_connections_max;
}

Session::Session(tcp::socket socket, std::string peer, Site& site, std::shared_ptr<Shared> shared)
    : stream_(std::move(socket))
    , site_(site)
    , shared_(std::move(shared))
    , options_(shared_->options)
    , peer_(std::move(peer))
{
}

void Session::enter()
{
    const std::lock_guard lock(shared_->mutex);
    shared_->sessions.insert(this);
    ++shared_->of_address[peer_];
}

Session::~Session()
{
    const std::lock_guard lock(shared_->mutex);
    shared_->sessions.erase(this);
    if (const auto from_there = shared_->of_address.find(peer_); --from_there->second == 0)
        shared_->of_address.erase(from_there);
}

asio::awaitable<void> Session::life(std::shared_ptr<Session> session)
{
    co_await session->run();
}

void Session::nudge()
{
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
        if (self->between_requests_)
            self->stream_.cancel();
        if (self->events_timer_)
            self->events_timer_->cancel();
    });
}

std::vector<std::shared_ptr<Session>> Shared::all()
{
    const std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<Session>> found;
    for (auto* const one : sessions)
        if (auto session = one->weak_from_this().lock())  // one on its way out has ended already
            found.push_back(std::move(session));
    return found;
}

asio::awaitable<void> Session::run()
{
    try {
        for (bool again = true; again && !shared_->draining;)
            again = co_await serve_one();
    } catch (const boost::system::system_error& gone) {
        // The client went away, or was silent for too long.
        log::debug("a connection ended: {}", gone.code().message());
    }
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
}

std::optional<Reply> Session::refusal(const Parser& parser, beast::error_code bad) const
{
    const auto with_status = [](unsigned status, Error error) {
        auto reply = error_reply(error);
        reply.status = status;
        return std::optional(std::move(reply));
    };
    if (bad == beast::error::timeout)
        return with_status(408, {errors::too_slow, "the request's header did not come whole in time", {}});
    if (bad == wire::error::header_limit)
        return with_status(431,
            {errors::header_over_limit, fmt::format("the header has more than {} bytes", options_.header_bytes_max),
                "fewer or shorter header fields"});
    if (bad)
        return with_status(400, {errors::bad_request, fmt::format("this is not HTTP/1.1 as we read it: {}", bad.message()), {}});
    const auto& header = parser.get();
    if (header.target().size() > options_.target_bytes_max)
        return with_status(414,
            {errors::target_over_limit,
                fmt::format("the target has {} bytes; at most {} are read", header.target().size(), options_.target_bytes_max),
                "long values go into a body"});
    if (const auto fields = std::distance(header.begin(), header.end());
        fields > static_cast<std::ptrdiff_t>(options_.header_fields_max))
        return with_status(431,
            {errors::header_over_limit,
                fmt::format("the header has {} fields; at most {} are read", fields, options_.header_fields_max), {}});
    return std::nullopt;
}

asio::awaitable<bool> Session::serve_one()
{
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options_.header_bytes_max));
    parser.body_limit(boost::none);
    // Silence between requests is one thing, a header that drips another.
    // Until a header is whole there is no request, and nobody to wait for.
    between_requests_ = true;
    if (buffer_.size() == 0) {
        stream_.expires_after(options_.idle_max);
        buffer_.commit(co_await stream_.async_read_some(buffer_.prepare(piece_bytes), asio::use_awaitable));
    }
    stream_.expires_after(options_.header_max);
    beast::error_code bad;
    co_await wire::async_read_header(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, bad));
    between_requests_ = false;
    const bool of_http = bad.category() == wire::make_error_code(wire::error::bad_method).category();
    if (bad && bad != beast::error::timeout
        && (!of_http || bad == wire::error::end_of_stream || bad == wire::error::partial_message))
        throw boost::system::system_error(bad);

    const auto began = TimerClock::now();
    Served served;
    served.peer = peer_;
    Reply reply;
    bool head = false;
    bool again = false;
    if (auto refused = refusal(parser, bad)) {
        reply = *std::move(refused);
        served.method = "-";
    } else {
        const auto& header = parser.get();
        auto request = to_request(header);
        auto trace = std::make_shared<Trace>();
        std::optional<Error> wrong;
        if (request) {
            request->peer = peer_;
            request->trace = trace;
            if (auto passed = shared_->gate.pass(*request); !passed)
                wrong = passed.error();
            served.peer = request->peer;
            served.method = request->method;
            served.target = request->target;
            served.host = request->host;
            served.agent = request->header("user-agent");
            head = request->method == "HEAD";
        } else {
            wrong = request.error();
        }
        if (wrong) {
            reply = error_reply(*wrong);
        } else {
            auto answer = site_.open(*std::move(request));
            if (auto* const at_once = std::get_if<Reply>(&answer)) {
                reply = std::move(*at_once);
                if (head && reply.events)
                    reply = {.content_type = "text/event-stream"};
            } else {
                auto& body = *std::get<std::unique_ptr<Body>>(answer);
                if (beast::iequals(header[wire::field::expect], "100-continue")) {
                    wire::response<wire::empty_body> go_on(wire::status::continue_, 11);
                    co_await wire::async_write(stream_, go_on, asio::use_awaitable);
                }
                const auto broken = co_await read_body(parser, body, served.bytes_in);
                reply = broken ? error_reply(*broken) : body.finish();
            }
        }
        served.route = trace->route;
        const bool keep = header.keep_alive();
        const bool whole = parser.is_done() || co_await skip_small_body(parser);
        if (reply.later)
            reply = co_await wait_for(std::move(reply));
        // After a body that was not read to its end the connection cannot be used again.
        again = keep && whole && !reply.events && !shared_->draining;
    }
    served.status = reply.status;
    if (reply.events)
        co_await write_events(reply);
    else
        served.bytes_out = co_await write(reply, head, again);
    served.duration_ns = std::chrono::nanoseconds(TimerClock::now() - began).count();
    count(served);
    if (options_.log)
        options_.log(served);
    co_return again;
}

asio::awaitable<std::optional<Error>> Session::read_body(Parser& parser, Body& body, std::uint64_t& taken_bytes)
{
    Buffer piece(piece_bytes);
    const auto began = TimerClock::now();
    while (!parser.is_done()) {
        parser.get().body().data = piece.data();
        parser.get().body().size = piece.size();
        // Whoever drips has as long as the bytes so far deserve.
        const auto deadline = began + options_.idle_max + seconds(taken_bytes / options_.body_rate_min);
        stream_.expires_at(std::min(deadline, TimerClock::now() + options_.idle_max));
        beast::error_code code;
        co_await wire::async_read_some(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, code));
        if (code == beast::error::timeout) {
            stream_.expires_after(options_.idle_max);
            co_return Error{errors::too_slow,
                fmt::format("{} bytes of the body came, too slowly; at least {} a second are expected", taken_bytes,
                    options_.body_rate_min),
                "nothing was stored"};
        }
        // A body that breaks the rules of chunks is the client's mistake; one that ends early has nobody to tell.
        if (code && code != wire::error::need_buffer
            && code.category() == wire::make_error_code(wire::error::bad_chunk).category() && code != wire::error::partial_message
            && code != wire::error::end_of_stream)
            co_return Error{errors::bad_request, fmt::format("the body is not as HTTP/1.1 has it: {}", code.message()), {}};
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
asio::awaitable<bool> Session::skip_small_body(Parser& parser)
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
        co_await wire::async_read(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, code));
        if (code && code != wire::error::need_buffer)
            co_return false;
    }
    co_return true;
}

bool Session::client_is_gone()
{
    char byte = 0;
    const auto got = ::recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

asio::awaitable<Reply> Session::wait_for(Reply reply)
{
    const auto mail = std::make_shared<Mail>(std::make_shared<asio::steady_timer>(stream_.get_executor()));
    reply.later([post = std::weak_ptr(mail), threads = shared_->threads](Reply done) {
        {
            // Under the lock of the threads: the mail may hold the last reference to what belongs to them.
            const std::lock_guard open(threads->mutex);
            const auto there = threads->open ? post.lock() : nullptr;
            if (!there)
                return;
            const std::lock_guard lock(there->mutex);
            there->reply = std::move(done);
        }
        ring(post, *threads);
    });
    stream_.expires_never();
    for (;;) {
        mail->timer->expires_after(look_pause);
        {
            const std::lock_guard lock(mail->mutex);
            if (mail->reply)
                co_return *std::move(mail->reply);
        }
        beast::error_code woken;
        co_await mail->timer->async_wait(asio::redirect_error(asio::use_awaitable, woken));
        if (!woken && client_is_gone())
            throw boost::system::system_error(asio::error::connection_reset);
    }
}

template <class Message> void Session::fill(Message& message, const Reply& reply, bool again)
{
    message.set(wire::field::server, "altiplano");
    message.set(wire::field::content_type, reply.content_type);
    message.set(wire::field::access_control_allow_origin, "*");
    message.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : reply.headers)
        message.set(name, value);
    message.keep_alive(again);
}

asio::awaitable<std::uint64_t> Session::write(Reply& reply, bool head, bool again)
{
    wire::response<wire::buffer_body> message(static_cast<wire::status>(reply.status), 11);
    fill(message, reply, again);
    const auto length = reply.body.size() + (reply.data ? reply.data_length : 0);
    if (reply.status != 304 && reply.status != 204)
        message.content_length(length);
    const bool nothing = head || length == 0 || reply.status == 304 || reply.status == 204;
    // A body in memory goes out with the header, in one piece.
    const bool in_one = !nothing && !reply.data;
    message.body().data = in_one ? reply.body.data() : nullptr;
    message.body().size = in_one ? reply.body.size() : 0;
    message.body().more = !nothing && !in_one;

    wire::response_serializer<wire::buffer_body> serializer(message);
    stream_.expires_after(options_.idle_max);
    beast::error_code code;
    if (in_one) {
        co_await wire::async_write(stream_, serializer, asio::redirect_error(asio::use_awaitable, code));
        if (code)
            throw boost::system::system_error(code);
        co_return length;
    }
    co_await wire::async_write_header(stream_, serializer, asio::redirect_error(asio::use_awaitable, code));
    if (code && code != wire::error::need_buffer)
        throw boost::system::system_error(code);
    if (nothing)
        co_return 0;

    Buffer piece;
    for (std::uint64_t done = 0; done < length;) {
        const bool in_body = done < reply.body.size();
        const auto left = in_body ? reply.body.size() - done : length - done;
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(4 * piece_bytes, left));
        if (in_body) {
            message.body().data = reply.body.data() + done;
        } else {
            piece.resize(size);
            // The status is out already: a file that fails now can only be shown by ending early.
            if (!reply.data->read_at(reply.data_offset + done - reply.body.size(), piece))
                throw boost::system::system_error(asio::error::connection_aborted);
            message.body().data = piece.data();
        }
        message.body().size = size;
        done += size;
        message.body().more = done < length;
        stream_.expires_after(options_.idle_max);
        co_await wire::async_write(stream_, serializer, asio::redirect_error(asio::use_awaitable, code));
        if (code && code != wire::error::need_buffer)
            throw boost::system::system_error(code);
    }
    co_return length;
}

asio::awaitable<void> Session::write_events(Reply& reply)
{
    reply.content_type = "text/event-stream";
    wire::response<wire::empty_body> message(wire::status::ok, 11);
    fill(message, reply, false);
    message.set(wire::field::cache_control, "no-store");
    wire::response_serializer<wire::empty_body> serializer(message);
    stream_.expires_after(options_.idle_max);
    co_await wire::async_write_header(stream_, serializer, asio::use_awaitable);

    events_timer_ = std::make_shared<asio::steady_timer>(stream_.get_executor());
    const auto mail = std::make_shared<Mail>(events_timer_);
    [[maybe_unused]] const auto handle = reply.events([mail, threads = shared_->threads](std::string event) {
        {
            const std::lock_guard lock(mail->mutex);
            mail->events_bytes += event.size();
            mail->too_slow = mail->too_slow || mail->events_bytes > waiting_bytes_max;
            if (mail->too_slow)
                return;
            mail->events.push_back(std::move(event));
        }
        ring(mail, *threads);
    });
    // Whoever waits for this line knows that nothing printed from now on is missed.
    std::string next = ": listening\n\n";
    while (!shared_->draining) {
        stream_.expires_after(options_.idle_max);
        co_await asio::async_write(stream_, asio::buffer(next), asio::use_awaitable);
        next.clear();
        {
            const std::lock_guard lock(mail->mutex);
            for (; !mail->events.empty(); mail->events.pop_front())
                next += "data: " + mail->events.front() + "\n\n";
            mail->events_bytes = 0;
            if (mail->too_slow)
                co_return;
        }
        if (!next.empty())
            continue;
        events_timer_->expires_after(event_pause);
        bool waits;
        {
            const std::lock_guard lock(mail->mutex);
            waits = mail->events.empty() && !shared_->draining;
        }
        if (waits) {
            beast::error_code woken;
            co_await events_timer_->async_wait(asio::redirect_error(asio::use_awaitable, woken));
            if (!woken)
                next = ": still there\n\n";
        }
    }
}

}  // namespace altiplano::node::http
