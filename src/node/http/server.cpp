// The HTTP server: threads and sockets are its job; in the simulator another one stands in for all of it.
#include "node/http/server.hpp"

#include "base/counters.hpp"
#include "base/log.hpp"
#include "node/errors.hpp"
#include "node/http/session.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <list>

namespace altiplano::node::http {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

constexpr std::string_view full_house =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    "Retry-After: 1\r\nContent-Length: 103\r\n\r\n"
    R"({"error":"too many connections are open","code":"node.busy","hint":"close some, or use them for more"})"
    "\n";

class BeastServer final : public Server {
public:
    BeastServer(const Options& options, Gate gate)
        : shared_(std::make_shared<Shared>(options, std::move(gate)))
        , workers_(options.threads)
        , open_gauge_(counters::gauge("altiplano_http_connections", "Connections that are open.", [shared = shared_] {
            const std::lock_guard lock(shared->mutex);
            return static_cast<double>(shared->sessions.size());
        }))
    {
        shared_->workers = &workers_;
        // Often enough that nobody is much later than the shorter limit.
        const auto look_pause = std::clamp<std::chrono::milliseconds>(
            std::min(options.idle_max, options.header_max) / 16, std::chrono::milliseconds(5), std::chrono::milliseconds(500));
        for (std::size_t i = 0; i < options.loops; ++i)
            loops_.emplace_back(look_pause, options.kept_bytes_max / options.loops);
    }
    ~BeastServer() override
    {
        {
            const std::lock_guard lock(shared_->threads->mutex);
            shared_->threads->open = false;
        }
        for (auto& loop : loops_)
            loop.stop();
        workers_.stop();
        workers_.join();
    }

    Result<void> open(const Endpoint& where)
    {
        auto& acceptor = acceptors_.emplace_back(loops_.front().context);
        beast::error_code code;
        const auto address = asio::ip::make_address(shared_->options.address, code);
        const tcp::endpoint endpoint(address, where.port);
        if (!code)
            acceptor.open(endpoint.protocol(), code);
        if (!code)
            acceptor.set_option(asio::socket_base::reuse_address(true), code);
        if (!code)
            acceptor.bind(endpoint, code);
        if (!code)
            acceptor.listen(asio::socket_base::max_listen_connections, code);
        if (code)
            return fail(errors::cannot_listen,
                fmt::format("cannot listen on {}:{}: {}", shared_->options.address, where.port, code.message()),
                "is another node running? name another --port");
        asio::co_spawn(acceptor.get_executor(), accept(acceptor, *where.site), asio::detached);
        return {};
    }
    void start()
    {
        for (auto& loop : loops_)
            loop.start();
    }
    std::vector<std::uint16_t> ports() const override
    {
        std::vector<std::uint16_t> ports;
        for (const auto& acceptor : acceptors_)
            ports.push_back(acceptor.local_endpoint().port());
        return ports;
    }

    void drain(std::chrono::milliseconds patience) override
    {
        shared_->draining = true;
        for (auto& acceptor : acceptors_)
            asio::post(acceptor.get_executor(), [&acceptor] {
                beast::error_code ignored;
                acceptor.close(ignored);
            });
        const auto deadline = asio::steady_timer::clock_type::now() + patience;
        for (;;) {
            {
                const auto open = shared_->all();
                if (open.empty())
                    return;
                for (const auto& session : open)
                    session->nudge();
            }
            const auto now = asio::steady_timer::clock_type::now();
            if (now >= deadline)
                break;
            asio::steady_timer pause(workers_, std::min<std::chrono::nanoseconds>(std::chrono::milliseconds(10), deadline - now));
            pause.wait();
        }
        log::warning(
            "{} requests were not answered within {} ms; their connections are closed", shared_->all().size(), patience.count());
    }

private:
    using Acceptor = asio::basic_socket_acceptor<tcp, LoopExecutor>;

    Awaitable<void> accept(Acceptor& acceptor, Site& site)
    {
        static auto& accepted = counters::counter("altiplano_http_connections_total", "Connections accepted.");
        static auto& refused = counters::counter("altiplano_http_connections_refused_total", "Connections beyond a limit.");
        for (auto loop = loops_.begin();; ++loop) {
            if (loop == loops_.end())
                loop = loops_.begin();
            beast::error_code code;
            LoopSocket socket(loop->context);
            tcp::endpoint from;
            co_await acceptor.async_accept(socket, from, asio::redirect_error(awaited, code));
            if (!acceptor.is_open() || code == asio::error::operation_aborted)
                co_return;
            if (code) {
                // No descriptors left, most likely: others must close first.
                log::warning("a connection was not accepted: {}", code.message());
                LoopTimer pause(acceptor.get_executor(), std::chrono::milliseconds(100));
                co_await pause.async_wait(asio::redirect_error(awaited, code));
                continue;
            }
            auto peer = from.address().to_string();
            if (!shared_->has_room(peer)) {
                refused.add();
                socket.non_blocking(true, code);
                socket.write_some(asio::buffer(full_house), code);
                continue;  // the socket closes itself here
            }
            accepted.add();
            socket.set_option(tcp::no_delay(true), code);
            auto session = std::make_shared<Session>(std::move(socket), std::move(peer), site, *loop, shared_);
            session->enter();
            asio::co_spawn(loop->context, Session::life(std::move(session)), asio::detached);
        }
    }

    std::shared_ptr<Shared> shared_;
    std::list<Loop> loops_;  ///< outlives the workers: what they finish goes back to its loop
    asio::thread_pool workers_;
    std::list<Acceptor> acceptors_;
    std::shared_ptr<void> open_gauge_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(const std::vector<Endpoint>& endpoints, const Options& options)
{
    const auto own = altiplano::net::Address::parse(options.address);
    const bool this_machine = own && (own->v4 ? own->bytes[0] == 127 : own->text() == "::1");
    if (!this_machine && options.gate.api_keys.empty())
        return fail(errors::bad_option,
            fmt::format("{} is not this machine's own address, so others could write to the node", options.address),
            "set an API key with --api-keys, or listen on 127.0.0.1");
    TRY(auto gate, Gate::of(options.gate));
    auto server = std::make_unique<BeastServer>(options, std::move(gate));
    for (const auto& endpoint : endpoints)
        TRY_OK(server->open(endpoint));
    server->start();
    return server;
}

}  // namespace altiplano::node::http
