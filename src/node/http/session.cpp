#include "node/http/session.hpp"

#include "base/log.hpp"
#include "node/errors.hpp"
#include "node/http/wire.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using tcp = asio::ip::tcp;
using std::chrono::seconds;

constexpr std::size_t piece_bytes = std::size_t{64} * 1024;
// What a connection holds while nobody speaks: most requests fit.
constexpr std::size_t front_bytes = 4096;

void throw_if(beast::error_code code)
{
    if (code)
        throw boost::system::system_error(code);
}

}  // namespace

bool Shared::has_room(const std::string& peer)
{
    const std::lock_guard lock(mutex);
    if (sessions.size() >= options.connections_max)
        return false;
    if (is_loopback(peer) || gate.is_proxy(peer))
        return true;
    const auto from_there = of_address.find(peer);
    return from_there == of_address.end() || from_there->second < options.address_connections_max;
}

Session::Session(LoopSocket socket, std::string peer, Site& site, Loop& loop, std::shared_ptr<Shared> shared)
    : socket_(std::move(socket))
    , site_(site)
    , loop_(loop)
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

Awaitable<void> Session::life(std::shared_ptr<Session> session)
{
    session->loop_.enter(*session);
    co_await session->run();
    session->loop_.leave(*session);
}

void Session::nudge()
{
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        beast::error_code ignored;
        if (self->between_requests_)
            self->socket_.cancel(ignored);
        if (self->events_timer_)
            self->events_timer_->cancel();
    });
}

void Session::end_if_late(TimerClock::time_point now)
{
    if (now < deadline_)
        return;
    beast::error_code ignored;
    late_ = true;
    socket_.cancel(ignored);
}

Session::ErrorCode Session::ended_by(ErrorCode code) const
{
    return late_ && code == asio::error::operation_aborted ? ErrorCode(beast::error::timeout) : code;
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

Awaitable<void> Session::run()
{
    try {
        beast::error_code ignored;
        socket_.non_blocking(true, ignored);
        for (bool again = true; again && !shared_->draining;)
            again = co_await serve_one();
    } catch (const boost::system::system_error& gone) {
        // The client went away, or was silent for too long.
        log::debug("a connection ended: {}", gone.code().message());
    }
    beast::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
}

std::optional<Reply> Session::refusal(const Parser& parser, beast::error_code bad) const
{
    const auto with_status = [](unsigned status, const Error& error) {
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

/// @return why there is no header that can be read
Awaitable<Session::ErrorCode> Session::read_header(Parser& parser)
{
    beast::error_code code;
    // Silence between requests is one thing, a header that drips another.
    if (buffer_.size() == 0) {
        expires_after(options_.idle_max);
        const auto got = co_await socket_.async_read_some(buffer_.prepare(front_bytes), asio::redirect_error(awaited, code));
        throw_if(ended_by(code));
        buffer_.commit(got);
    }
    buffer_.consume(parser.put(buffer_.data(), code));
    if (code == wire::error::need_more) {
        expires_after(options_.header_max);
        co_await wire::async_read_header(socket_, buffer_, parser, asio::redirect_error(awaited, code));
        code = ended_by(code);
    }
    co_return code;
}

Awaitable<bool> Session::serve_one()
{
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options_.header_bytes_max));
    parser.body_limit(boost::none);
    // Until a header is whole there is no request, and nobody to wait for.
    between_requests_ = true;
    const auto bad = co_await read_header(parser);
    between_requests_ = false;
    const bool of_http = bad.category() == wire::make_error_code(wire::error::bad_method).category();
    if (bad && bad != beast::error::timeout
        && (!of_http || bad == wire::error::end_of_stream || bad == wire::error::partial_message))
        throw boost::system::system_error(bad);

    const auto began = TimerClock::now();
    Served served;
    Reply reply;
    bool again = false;
    if (auto refused = refusal(parser, bad)) {
        served.peer = peer_;
        served.method = "-";
        reply = *std::move(refused);
    } else {
        if (const auto kept = kept_for(parser))
            co_return co_await write_kept(*kept, parser, began);
        bool whole = false;
        reply = co_await reply_to(parser, served, whole);
        // After a body that was not read to its end the connection cannot be used again. Whoever dripped is not waited for.
        const bool dripped = reply.status == 408;
        whole = whole || (!dripped && co_await skip_small_body(parser));
        if (reply.later)
            reply = co_await wait_for(std::move(reply));
        again = parser.get().keep_alive() && whole && !reply.events && !shared_->draining;
    }
    served.status = reply.status;
    if (reply.events)
        co_await write_events(reply);
    else
        served.bytes_out = co_await write(reply, served.method == "HEAD", again);
    served.duration_ns = std::chrono::nanoseconds(TimerClock::now() - began).count();
    count(served);
    if (options_.log)
        options_.log(served);
    if (reply.lasting && reply.status == 200 && served.method == "GET" && !reply.data && !reply.events)
        loop_.kept.keep(site_, std::move(served.target), {head_of(reply), std::move(reply.body), std::move(served.route)});
    co_return again;
}

Awaitable<Reply> Session::reply_to(Parser& parser, Served& served, bool& whole)
{
    served.peer = peer_;
    whole = parser.is_done();
    auto request = to_request(parser.get());
    if (!request)
        co_return error_reply(request.error());
    request->peer = peer_;
    auto trace = std::make_shared<Trace>();
    request->trace = trace;
    const auto passed = shared_->gate.pass(*request);
    served.peer = request->peer;
    served.method = request->method;
    served.target = request->target;
    served.host = request->host;
    served.agent = request->header("user-agent");
    if (!passed)
        co_return error_reply(passed.error());
    if (!shared_->rate.take(request->peer, TimerClock::now())) {
        auto refused = error_reply({errors::too_many_requests,
            fmt::format("{} asks too often; {} requests a second are taken", request->peer, options_.address_rate),
            "wait a second, then ask more slowly"});
        refused.headers.emplace_back("Retry-After", "1");
        co_return refused;
    }

    // The site is asked aside, and given what is here of the body with the same step.
    Reply reply;
    std::unique_ptr<Body> body;
    auto front = whole ? std::optional<Buffer>(Buffer{}) : body_at_hand(parser);
    auto ask = [&] {
        auto answer = site_.open(*std::move(request));
        if (auto* const at_once = std::get_if<Reply>(&answer)) {
            reply = std::move(*at_once);
            return;
        }
        body = std::move(std::get<std::unique_ptr<Body>>(answer));
        if (!front)
            return;
        served.bytes_in = front->size();
        const auto taken = front->empty() ? Result<void>{} : body->append(*front);
        reply = taken ? body->finish() : error_reply(taken.error());
        body.reset();
    };
    co_await aside(ask);
    served.route = trace->route;
    whole = front.has_value();
    if (body) {
        if (beast::iequals(parser.get()[wire::field::expect], "100-continue")) {
            static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            expires_after(options_.idle_max);
            const Parts line{asio::buffer(go_on)};
            co_await write_all(line);
        }
        reply = co_await read_body(parser, *body, served.bytes_in);
        whole = parser.is_done();
    }
    if (served.method == "HEAD" && reply.events)
        reply = {.content_type = "text/event-stream"};
    co_return reply;
}

std::optional<Buffer> Session::body_at_hand(const Parser& parser)
{
    const auto size = parser.chunked() ? boost::none : parser.content_length();
    if (!size || *size > buffer_.size() || parser.get().count(wire::field::expect) > 0)
        return std::nullopt;
    const auto* const bytes = static_cast<const std::byte*>(buffer_.data().data());
    Buffer body(bytes, bytes + *size);
    buffer_.consume(static_cast<std::size_t>(*size));
    return body;
}

Awaitable<Reply> Session::read_body(Parser& parser, Body& body, std::uint64_t& taken_bytes)
{
    Buffer piece(piece_bytes);
    const auto began = TimerClock::now();
    while (!parser.is_done()) {
        parser.get().body().data = piece.data();
        parser.get().body().size = piece.size();
        // Whoever drips has as long as the bytes so far deserve.
        const auto deadline = began + options_.idle_max + seconds(taken_bytes / options_.body_rate_min);
        expires_at(std::min(deadline, TimerClock::now() + options_.idle_max));
        beast::error_code code;
        co_await wire::async_read_some(socket_, buffer_, parser, asio::redirect_error(awaited, code));
        code = ended_by(code);
        if (code == beast::error::timeout)
            co_return error_reply({errors::too_slow,
                fmt::format("{} bytes of the body came, too slowly; at least {} a second are expected", taken_bytes,
                    options_.body_rate_min),
                "nothing was stored"});
        // A body that breaks the rules of chunks is the client's mistake; one that ends early has nobody to tell.
        if (code && code != wire::error::need_buffer
            && code.category() == wire::make_error_code(wire::error::bad_chunk).category() && code != wire::error::partial_message
            && code != wire::error::end_of_stream)
            co_return error_reply(
                {errors::bad_request, fmt::format("the body is not as HTTP/1.1 has it: {}", code.message()), {}});
        if (code != wire::error::need_buffer)
            throw_if(code);
        const auto got = piece.size() - parser.get().body().size;
        taken_bytes += got;
        Result<void> taken;
        auto append = [&] { taken = body.append(Bytes(piece).first(got)); };
        co_await aside(append);
        if (!taken)
            co_return error_reply(taken.error());
    }
    Reply reply;
    auto finish = [&] { reply = body.finish(); };
    co_await aside(finish);
    co_return reply;
}

/// Reads what a request brought along that nobody wanted, if it is little, so that the connection can be used again.
Awaitable<bool> Session::skip_small_body(Parser& parser)
{
    constexpr std::uint64_t little = 64 * 1024;
    if (parser.chunked() || parser.content_length_remaining().value_or(little + 1) > little)
        co_return false;
    Buffer piece(little);
    while (!parser.is_done()) {
        parser.get().body().data = piece.data();
        parser.get().body().size = piece.size();
        expires_after(options_.header_max);
        beast::error_code code;
        co_await wire::async_read(socket_, buffer_, parser, asio::redirect_error(awaited, code));
        if (code && code != wire::error::need_buffer)
            co_return false;
    }
    co_return true;
}

void Session::count(const Served& served)
{
    static auto& in = counters::counter("altiplano_http_body_bytes_in_total", "Bytes of bodies taken.");
    static auto& out = counters::counter("altiplano_http_body_bytes_out_total", "Bytes of bodies sent.");
    const auto& counts =
        loop_.counts(served.route, served.route.empty() ? "any" : std::string_view(served.method), served.status);
    counts.requests.add();
    counts.seconds.observe_ns(served.duration_ns);
    in.add(served.bytes_in);
    out.add(served.bytes_out);
}

}  // namespace altiplano::node::http
