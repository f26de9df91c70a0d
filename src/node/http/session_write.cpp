// What goes out over a connection: replies, and those that come later.
#include "base/log.hpp"
#include "node/http/session.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>
#include <deque>
#include <fmt/format.h>
#include <sys/socket.h>

namespace altiplano::node::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using std::chrono::seconds;

constexpr seconds event_pause{15};
constexpr seconds look_pause{1};  ///< between two looks at whether a client still waits
constexpr std::size_t piece_bytes = std::size_t{256} * 1024;
// What waits for a client that does not read; beyond it the stream ends, and the client may listen again.
constexpr std::size_t waiting_bytes_max = std::size_t{4} << 20;
constexpr std::string_view go_on = "\r\n";
constexpr std::string_view no_more = "Connection: close\r\n\r\n";

/// Something on its way to a session from another thread: a reply, or events.
struct Mail {
    explicit Mail(std::shared_ptr<LoopTimer> bell)
        : timer(std::move(bell))
    {
    }
    std::mutex mutex;
    std::optional<Reply> reply;
    std::deque<std::string> events;
    std::size_t events_bytes = 0;
    bool too_slow = false;
    bool over = false;  ///< no more events come
    std::shared_ptr<LoopTimer> timer;  ///< touched on the session's strand only
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

/// Nothing of a name or value may end its line.
void append_clean(std::string& to, std::string_view text)
{
    for (const char c : text)
        if (c != '\r' && c != '\n' && c != '\0')
            to += c;
}

}  // namespace

std::string head_of(const Reply& reply)
{
    const auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(reply.status));
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n", reply.status, std::string_view(reason.data(), reason.size()));
    head.reserve(512);
    const auto is_set_later = [&](std::string_view name, std::size_t from) {
        for (auto i = from; i < reply.headers.size(); ++i)
            if (beast::iequals(reply.headers[i].first, name))
                return true;
        return false;
    };
    const auto append = [&](std::string_view name, std::string_view value) {
        append_clean(head, name);
        head += ": ";
        append_clean(head, value);
        head += "\r\n";
    };
    const std::pair<std::string_view, std::string_view> always[] = {{"Server", "altiplano"}, {"Content-Type", reply.content_type},
        {"Access-Control-Allow-Origin", "*"}, {"X-Content-Type-Options", "nosniff"}};
    for (const auto& [name, value] : always)
        if (!is_set_later(name, 0))
            append(name, value);
    // The last of one name wins.
    for (std::size_t i = 0; i < reply.headers.size(); ++i)
        if (!reply.headers[i].first.empty() && !is_set_later(reply.headers[i].first, i + 1))
            append(reply.headers[i].first, reply.headers[i].second);
    if (reply.status != 304 && reply.status != 204 && !reply.events)
        append("Content-Length", std::to_string(reply.body.size() + (reply.data ? reply.data_length : 0)));
    return head;
}

Awaitable<void> Session::write_all(Parts parts)
{
    // Nearly always the kernel takes all of it at once.
    beast::error_code code;
    auto sent = socket_.write_some(parts, code);
    if (code && code != asio::error::would_block)
        throw boost::system::system_error(code);
    bool all = true;
    for (auto& part : parts) {
        const auto gone = std::min(sent, part.size());
        sent -= gone;
        part += gone;
        all = all && part.size() == 0;
    }
    if (all)
        co_return;
    co_await asio::async_write(socket_, parts, asio::redirect_error(awaited, code));
    if (code)
        throw boost::system::system_error(ended_by(code));
}

std::shared_ptr<const KeptReplies::Kept> Session::kept_for(const Parser& parser)
{
    const auto& header = parser.get();
    if (!parser.is_done() || (header.method() != beast::http::verb::get && header.method() != beast::http::verb::head))
        return nullptr;
    auto kept = loop_.kept.find(site_, {header.target().data(), header.target().size()});
    const auto host = header[beast::http::field::host];
    // Who comes through a proxy, by another name or too often goes the long way.
    return kept && shared_->gate.passes_plainly({host.data(), host.size()}) && shared_->rate.take(peer_, TimerClock::now())
        ? kept
        : nullptr;
}

Awaitable<bool> Session::write_kept(const KeptReplies::Kept& kept, const Parser& parser, TimerClock::time_point began)
{
    static auto& hits = counters::counter("altiplano_http_kept_replies_total", "Replies that were kept finished.");
    const auto& header = parser.get();
    const bool head = header.method() == beast::http::verb::head;
    const bool again = header.keep_alive() && !shared_->draining;
    expires_after(options_.idle_max);
    const Parts parts{
        asio::buffer(kept.head), asio::buffer(again ? go_on : no_more), head ? asio::const_buffer() : asio::buffer(kept.body)};
    co_await write_all(parts);
    hits.add();
    Served served{
        .peer = {}, .method = head ? "HEAD" : "GET", .target = {}, .host = {}, .agent = {}, .route = kept.route, .status = 200};
    served.bytes_out = head ? 0 : kept.body.size();
    served.duration_ns = std::chrono::nanoseconds(TimerClock::now() - began).count();
    count(served);
    if (options_.log) {
        const auto text = [](beast::string_view view) { return std::string(view.data(), view.size()); };
        served.peer = peer_;
        served.target = text(header.target());
        served.host = text(header[beast::http::field::host]);
        served.agent = text(header[beast::http::field::user_agent]);
        options_.log(served);
    }
    co_return again;
}

Awaitable<std::uint64_t> Session::write(Reply& reply, bool head, bool again)
{
    auto front = head_of(reply);
    front += again ? go_on : no_more;
    const auto data_length = reply.data ? reply.data_length : 0;
    const auto length = reply.body.size() + data_length;
    const bool nothing = head || length == 0 || reply.status == 304 || reply.status == 204;
    // What is in memory goes out with the header, in one piece.
    Parts parts{asio::buffer(front)};
    if (!nothing)
        parts[1] = asio::buffer(reply.body);

    Buffer piece;
    std::uint64_t done = 0;
    const auto end = nothing ? 0 : data_length;
    do {
        if (done < end) {
            piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(piece_bytes, end - done)));
            Result<void> got;
            auto read = [&] { got = reply.data->read_at(reply.data_offset + done, piece); };
            co_await aside(read);
            // Too late for an error in the reply: a length that is not reached says it.
            if (!got)
                throw boost::system::system_error(asio::error::connection_aborted);
            parts[2] = asio::buffer(piece);
            done += piece.size();
        }
        expires_after(options_.idle_max);
        co_await write_all(parts);
        parts = {};
    } while (done < end);
    co_return nothing ? 0 : length;
}

bool Session::client_is_gone()
{
    char byte = 0;
    const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

Awaitable<Reply> Session::wait_for(Reply reply)
{
    const auto mail = std::make_shared<Mail>(std::make_shared<LoopTimer>(socket_.get_executor()));
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
    deadline_ = TimerClock::time_point::max();
    for (;;) {
        mail->timer->expires_after(look_pause);
        {
            const std::lock_guard lock(mail->mutex);
            if (mail->reply)
                co_return *std::move(mail->reply);
        }
        beast::error_code woken;
        co_await mail->timer->async_wait(asio::redirect_error(awaited, woken));
        if (!woken && client_is_gone())
            throw boost::system::system_error(asio::error::connection_reset);
    }
}

Awaitable<void> Session::write_events(Reply& reply)
{
    reply.content_type = "text/event-stream";
    reply.headers.emplace_back("Cache-Control", "no-store");
    const auto front = head_of(reply) + std::string(no_more);
    expires_after(options_.idle_max);
    const Parts start{asio::buffer(front)};
    co_await write_all(start);

    events_timer_ = std::make_shared<LoopTimer>(socket_.get_executor());
    const auto mail = std::make_shared<Mail>(events_timer_);
    [[maybe_unused]] const auto handle = reply.events([mail, threads = shared_->threads](std::optional<std::string> event) {
        {
            const std::lock_guard lock(mail->mutex);
            mail->over = mail->over || !event;
            mail->events_bytes += event ? event->size() : 0;
            mail->too_slow = mail->too_slow || mail->events_bytes > waiting_bytes_max;
            if (mail->too_slow)
                return;
            if (event)
                mail->events.push_back(*std::move(event));
        }
        ring(mail, *threads);
    });
    // Whoever waits for this line knows that nothing printed from now on is missed.
    std::string next = ": listening\n\n";
    bool over = false;
    while (!shared_->draining || over) {
        expires_after(options_.idle_max);
        const Parts line{asio::buffer(next)};
        co_await write_all(line);
        if (over)
            co_return;
        deadline_ = TimerClock::time_point::max();
        next.clear();
        {
            const std::lock_guard lock(mail->mutex);
            for (; !mail->events.empty(); mail->events.pop_front())
                next += "data: " + mail->events.front() + "\n\n";
            mail->events_bytes = 0;
            over = mail->over;
            if (mail->too_slow)
                co_return;
        }
        if (!next.empty() || over)
            continue;
        events_timer_->expires_after(event_pause);
        bool waits;
        {
            const std::lock_guard lock(mail->mutex);
            waits = mail->events.empty() && !mail->over && !shared_->draining;
        }
        if (waits) {
            beast::error_code woken;
            co_await events_timer_->async_wait(asio::redirect_error(awaited, woken));
            if (!woken)
                next = ": still there\n\n";
        }
    }
}

}  // namespace altiplano::node::http
