// Speaks HTTP by hand, so that what goes over the wire is what the test says: sockets are its job.
#include "node/http/server.hpp"

#include "node/errors.hpp"
#include "node/http/access_log.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <list>
#include <mutex>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

using namespace altiplano;
using namespace altiplano::node;
using namespace altiplano::node::http;

namespace {

/// Answers with what it was asked; refuses bodies that hold `!`.
class EchoSite final : public Site {
public:
    Answer open(Request request) override
    {
        std::string said = request.method + " " + request.path;
        for (const auto& [name, value] : request.query)
            said += " " + name + "=" + value;
        if (request.path == "/nowhere")
            return error_reply({errors::unknown_path, "nothing there", {}});
        if (request.path == "/events")
            return Reply{.events = [over = request.query_value("over").has_value()](Reply::Push push) {
                push("one");
                if (over)
                    push(std::nullopt);
                return std::shared_ptr<void>();
            }};
        if (request.path == "/later")
            return Reply{.later = [this](std::function<void(Reply)> done) {
                const std::lock_guard lock(mutex);
                waiting.push_back(std::move(done));
            }};
        if (request.path == "/lasting")
            return Reply{.content_type = "text/plain",
                .headers = {{"Altiplano-Slot", "1"}},
                .body = "once " + std::to_string(++asked),
                .lasting = true};
        if (request.path == "/whoami")
            return Reply{
                .body = request.peer + " " + request.scheme + " " + request.host + (request.may_write ? " writes" : " reads")};
        if (request.path == "/peer")
            return Reply{.body = request.peer + " " + std::string(request.header("x-said")) + " " + request.target};
        if (request.method == "POST" || request.method == "DELETE")
            return std::make_unique<EchoBody>();
        return Reply{.content_type = "text/plain", .body = said};
    }

    std::atomic<int> asked = 0;  ///< for /lasting

    /// Answers everybody who waits for /later. @return how many
    std::size_t let_go()
    {
        const std::lock_guard lock(mutex);
        for (auto& done : waiting)
            done({.content_type = "text/plain", .body = "at last"});
        return std::exchange(waiting, {}).size();
    }
    std::size_t count()
    {
        const std::lock_guard lock(mutex);
        return waiting.size();
    }

private:
    std::mutex mutex;
    std::vector<std::function<void(Reply)>> waiting;

    class EchoBody final : public Body {
    public:
        Result<void> append(Bytes piece) override
        {
            if (as_text(piece).find('!') != std::string_view::npos)
                return fail(errors::body_over_limit, "enough");
            got_ += as_text(piece);
            return {};
        }
        Reply finish() override { return {.content_type = "text/plain", .body = got_}; }

    private:
        std::string got_;
    };
};

class Connection {
public:
    explicit Connection(std::uint16_t port)
        : socket_(socket(AF_INET, SOCK_STREAM, 0))
    {
        const timeval patience{.tv_sec = 10, .tv_usec = 0};
        setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    ~Connection() { close(socket_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void say(std::string_view text)
    {
        EXPECT_EQ(send(socket_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    bool try_say(std::string_view text) { return send(socket_, text.data(), text.size(), MSG_NOSIGNAL) > 0; }
    /// Reads until the answer so far ends with `end`, or the other side is silent or gone.
    std::string hear(std::string_view end)
    {
        std::string heard;
        char piece[4096];
        while (!heard.ends_with(end) || end.empty()) {
            const auto got = recv(socket_, piece, sizeof piece, 0);
            if (got <= 0)
                break;
            heard.append(piece, static_cast<std::size_t>(got));
        }
        return heard;
    }
    std::string hear_all() { return hear(""); }

private:
    int socket_;
};

class AServer : public testing::Test {
protected:
    AServer()
        : server(Server::listen({{&site}, {&site}}, {.threads = 2, .idle_max = std::chrono::seconds(1)}).value())
    {
    }
    std::string answer(std::string_view request)
    {
        Connection connection(server->ports().front());
        connection.say(request);
        return connection.hear_all();
    }
    EchoSite site;
    std::unique_ptr<Server> server;
};

const std::string host = "Host: 127.0.0.1\r\n";

void wait_until(const std::function<bool()>& condition)
{
    for (int i = 0; i < 1000 && !condition(); ++i)
        usleep(10'000);
    EXPECT_TRUE(condition());
}

bool holds(const std::string& text, std::string_view what)
{
    return text.find(what) != std::string::npos;
}

}  // namespace

TEST_F(AServer, serves_one_request_after_another_on_a_connection)
{
    Connection connection(server->ports().front());
    connection.say("GET /first HTTP/1.1\r\n" + host + "\r\n");
    EXPECT_TRUE(connection.hear("GET /first").starts_with("HTTP/1.1 200 OK"));
    connection.say("POST /second HTTP/1.1\r\n" + host + "Content-Length: 4\r\n\r\nbody");
    EXPECT_TRUE(connection.hear("body").starts_with("HTTP/1.1 200 OK"));
    connection.say("GET /third HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
    EXPECT_TRUE(connection.hear_all().ends_with("GET /third"));
}

TEST_F(AServer, decodes_path_and_query)
{
    EXPECT_TRUE(answer("GET /a%20b?Type=x%26y&empty&n=1+2 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n")
            .ends_with("GET /a b Type=x&y empty= n=1 2"));
    EXPECT_TRUE(answer("GET /%zz%2 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n").ends_with("GET /%zz%2"));
}

TEST_F(AServer, serves_only_this_machine_s_names)
{
    for (const auto& name : std::vector<std::string>{"localhost", "localhost:4000", "127.0.0.1:1", "[::1]", "[::1]:80"})
        EXPECT_TRUE(answer("GET / HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"))
            << name;
    for (const auto& name :
        std::vector<std::string>{"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:4000", ""}) {
        const auto refused = answer("GET / HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n");
        EXPECT_TRUE(refused.starts_with("HTTP/1.1 403")) << name;
        EXPECT_TRUE(holds(refused, "node.bad_host")) << name;
    }
    EXPECT_TRUE(answer("POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1\r\n\r\nx").starts_with("HTTP/1.1 403"));
    EXPECT_TRUE(answer("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 403")) << "no Host at all";
}

TEST_F(AServer, answers_head_without_a_body)
{
    const auto head = answer("HEAD /x HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(holds(head, "Content-Length: 7\r\n"));
    EXPECT_TRUE(head.ends_with("\r\n\r\n"));
    const auto events = answer("HEAD /events HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
    EXPECT_TRUE(events.starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(events.ends_with("\r\n\r\n")) << events;
    EXPECT_FALSE(holds(events, "listening"));
}

TEST_F(AServer, takes_a_body_in_chunks)
{
    EXPECT_TRUE(answer(
        "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            .ends_with("\r\n\r\nabcde"));
}

TEST_F(AServer, asks_for_a_body_that_waits_for_that)
{
    Connection connection(server->ports().front());
    connection.say("POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(connection.hear("\r\n\r\n").starts_with("HTTP/1.1 100 Continue"));
    connection.say("body");
    EXPECT_TRUE(connection.hear_all().ends_with("body"));
}

TEST_F(AServer, refuses_a_body_before_it_is_whole_and_closes)
{
    Connection connection(server->ports().front());
    connection.say("POST / HTTP/1.1\r\n" + host + "Content-Length: 1000000\r\n\r\n" + std::string(300'000, '!'));
    const auto refused = connection.hear_all();
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 413")) << refused;
    EXPECT_TRUE(holds(refused, "Connection: close"));
    EXPECT_TRUE(answer("POST /nowhere HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc").starts_with("HTTP/1.1 404"));
}

TEST_F(AServer, serves_on_every_port_and_says_who_asked_what)
{
    ASSERT_EQ(server->ports().size(), 2U);
    for (const auto port : server->ports()) {
        Connection connection(port);
        connection.say("GET /peer?a=%20 HTTP/1.1\r\n" + host + "X-SAID: hello\r\nConnection: close\r\n\r\n");
        EXPECT_TRUE(connection.hear_all().ends_with("127.0.0.1 hello /peer?a=%20")) << port;
    }
}

TEST_F(AServer, takes_a_body_with_any_method)
{
    EXPECT_TRUE(
        answer("DELETE / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nConnection: close\r\n\r\nbody").ends_with("\r\n\r\nbody"));
}

TEST_F(AServer, goes_on_after_a_small_body_that_nobody_wanted)
{
    Connection connection(server->ports().front());
    connection.say("POST /nowhere HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc");
    EXPECT_TRUE(connection.hear("}\n").starts_with("HTTP/1.1 404"));
    connection.say("GET /next HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
    EXPECT_TRUE(connection.hear_all().ends_with("GET /next"));
}

TEST_F(AServer, gives_up_a_body_that_drips)
{
    Connection connection(server->ports().front());
    connection.say("POST / HTTP/1.1\r\n" + host + "Content-Length: 1000\r\n\r\n");
    const auto began = std::chrono::steady_clock::now();
    bool gone = false;
    while (!gone && std::chrono::steady_clock::now() - began < std::chrono::seconds(8)) {
        usleep(200'000);
        gone = !connection.try_say("x");
    }
    EXPECT_TRUE(gone);
}

TEST_F(AServer, lets_go_of_who_says_nothing)
{
    Connection connection(server->ports().front());
    EXPECT_EQ(connection.hear_all(), "");
}

TEST_F(AServer, lets_go_of_who_speaks_no_http_and_serves_the_next)
{
    EXPECT_TRUE(answer("garbage\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(answer("GET / HTTP/1.1\r\n" + host + "X: " + std::string(20'000, 'x') + "\r\n\r\n").starts_with("HTTP/1.1 431"));
    EXPECT_TRUE(answer("GET / HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
}

TEST_F(AServer, writes_events_as_they_come)
{
    Connection connection(server->ports().front());
    connection.say("GET /events HTTP/1.1\r\n" + host + "\r\n");
    const auto heard = connection.hear("data: one\n\n");
    EXPECT_TRUE(holds(heard, "Content-Type: text/event-stream"));
    EXPECT_TRUE(holds(heard, ": listening\n\ndata: one\n\n"));
}

TEST_F(AServer, gives_a_lasting_reply_again_without_asking)
{
    // One connection, so that one loop serves them.
    Connection connection(server->ports().front());
    const auto ask = [&](std::string_view method, std::string_view target, std::string_view more = {}) {
        connection.say(fmt::format("{} {} HTTP/1.1\r\n{}{}\r\n", method, target, host, more));
        return connection.hear(method == "HEAD" ? "\r\n\r\n" : "1");
    };
    const auto first = ask("GET", "/lasting?x");
    EXPECT_TRUE(first.ends_with("\r\n\r\nonce 1"));
    EXPECT_TRUE(holds(first, "Altiplano-Slot: 1\r\n"));
    EXPECT_EQ(ask("GET", "/lasting?x"), first);
    EXPECT_EQ(ask("GET", "/lasting?x", "Range: bytes=0-1\r\n"), first) << "ranges are for items' data";
    EXPECT_EQ(ask("HEAD", "/lasting?x") + "once 1", first);
    EXPECT_EQ(site.asked, 1);

    // What is asked otherwise is asked anew: another target, another method, another name of this node.
    connection.say("GET /lasting?y HTTP/1.1\r\n" + host + "\r\n");
    EXPECT_TRUE(connection.hear("once 2").ends_with("once 2"));
    connection.say("GET /lasting?x HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    EXPECT_TRUE(connection.hear("}\n").starts_with("HTTP/1.1 403"));
    connection.say("GET /lasting?x HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
    const auto last = connection.hear_all();
    EXPECT_TRUE(holds(last, "Connection: close\r\n\r\nonce 1"));
}

TEST_F(AServer, serves_many_requests_that_come_in_one_piece)
{
    Connection connection(server->ports().front());
    std::string all;
    for (int i = 0; i < 50; ++i)
        all += fmt::format(
            "POST /{} HTTP/1.1\r\n{}Content-Length: 6\r\n\r\nbody{:02}GET /get{} HTTP/1.1\r\n{}\r\n", i, host, i, i, host);
    connection.say(all);
    const auto heard = connection.hear("GET /get49");
    for (int i = 0; i < 50; ++i)
        EXPECT_TRUE(holds(heard, fmt::format("body{:02}HTTP/1.1", i)) && holds(heard, fmt::format("GET /get{}", i))) << i;
}

TEST_F(AServer, ends_a_stream_of_events_that_is_over)
{
    Connection connection(server->ports().front());
    connection.say("GET /events?over= HTTP/1.1\r\n" + host + "\r\n");
    EXPECT_TRUE(connection.hear_all().ends_with("data: one\n\n"));
}

TEST_F(AServer, does_not_share_its_port)
{
    const auto second = Server::listen({{&site, server->ports().front()}}, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, errors::cannot_listen);
}

TEST_F(AServer, ends_while_a_client_listens)
{
    Connection connection(server->ports().front());
    connection.say("GET /events HTTP/1.1\r\n" + host + "\r\n");
    connection.hear("data: one\n\n");
    server.reset();
    EXPECT_EQ(connection.hear_all(), "");
}

TEST_F(AServer, serves_others_while_many_wait_for_what_comes_later)
{
    // The server has two threads.
    std::list<Connection> waiting;
    for (int i = 0; i < 50; ++i)
        waiting.emplace_back(server->ports().front()).say("GET /later HTTP/1.1\r\n" + host + "\r\n");
    wait_until([&] { return site.count() == 50; });
    EXPECT_TRUE(answer("GET /now HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n").ends_with("GET /now"));
    EXPECT_EQ(site.let_go(), 50U);
    for (auto& connection : waiting)
        EXPECT_TRUE(connection.hear("at last").starts_with("HTTP/1.1 200"));
    // And the connections go on.
    waiting.front().say("GET /next HTTP/1.1\r\n" + host + "\r\n");
    EXPECT_TRUE(waiting.front().hear("GET /next").starts_with("HTTP/1.1 200"));
}

TEST_F(AServer, forgets_who_went_away_while_waiting_and_ends_while_others_wait)
{
    {
        Connection gone(server->ports().front());
        gone.say("GET /later HTTP/1.1\r\n" + host + "\r\n");
        wait_until([&] { return site.count() == 1; });
    }
    Connection stays(server->ports().front());
    stays.say("GET /later HTTP/1.1\r\n" + host + "\r\n");
    wait_until([&] { return site.count() == 2; });
    server.reset();
    EXPECT_EQ(stays.hear_all(), "");
    EXPECT_EQ(site.let_go(), 2U) << "answers that come too late are dropped";
}

TEST_F(AServer, drains_what_is_under_way_and_takes_no_more)
{
    Connection idle(server->ports().front());
    idle.say("GET /first HTTP/1.1\r\n" + host + "\r\n");
    idle.hear("GET /first");
    Connection busy(server->ports().front());
    busy.say("GET /later HTTP/1.1\r\n" + host + "\r\n");
    Connection uploads(server->ports().front());
    uploads.say("POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    uploads.hear("\r\n\r\n");
    wait_until([&] { return site.count() == 1; });
    std::thread drain([&] { server->drain(std::chrono::seconds(20)); });
    EXPECT_EQ(idle.hear_all(), "") << "an idle connection is closed";
    uploads.say("body");
    EXPECT_TRUE(holds(uploads.hear_all(), "Connection: close"));
    site.let_go();
    const auto last = busy.hear_all();
    EXPECT_TRUE(last.ends_with("at last"));
    EXPECT_TRUE(holds(last, "Connection: close"));
    drain.join();
}

TEST_F(AServer, answers_what_is_too_long_before_it_reads_it_all)
{
    const auto target = answer("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n" + host + "\r\n");
    EXPECT_TRUE(target.starts_with("HTTP/1.1 414")) << target;
    std::string many;
    for (int i = 0; i < 150; ++i)
        many += "X-" + std::to_string(i) + ": 1\r\n";
    const auto fields = answer("GET / HTTP/1.1\r\n" + host + many + "\r\n");
    EXPECT_TRUE(fields.starts_with("HTTP/1.1 431")) << fields;
    EXPECT_TRUE(holds(fields, "node.header_over_limit"));
}

TEST_F(AServer, takes_absolute_targets_and_refuses_those_that_are_no_path)
{
    EXPECT_TRUE(answer("GET http://127.0.0.1/x HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n").ends_with("GET /x"));
    EXPECT_TRUE(answer("OPTIONS * HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n").starts_with("HTTP/1.1 400"));
}

TEST_F(AServer, keeps_a_plus_in_a_path)
{
    EXPECT_TRUE(answer("GET /a+b?c+d HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n").ends_with("GET /a+b c d="));
}

TEST(ServerGate, wants_a_key_for_any_address_but_this_machine_s_own)
{
    EchoSite site;
    const auto open = Server::listen({{&site}}, {.address = "0.0.0.0"});
    ASSERT_FALSE(open);
    EXPECT_EQ(open.error().code, errors::bad_option);
    EXPECT_FALSE(Server::listen({{&site}}, {.address = "0.0.0.0", .gate = {.api_keys = {"short"}}}));
    const auto guarded = Server::listen({{&site}}, {.address = "0.0.0.0", .gate = {.api_keys = {"0123456789abcdef"}}});
    ASSERT_TRUE(guarded);
    const auto who = [&](const std::string& headers) {
        Connection connection((*guarded)->ports().front());
        connection.say("GET /whoami HTTP/1.1\r\n" + host + headers + "Connection: close\r\n\r\n");
        return connection.hear_all();
    };
    EXPECT_TRUE(who("").ends_with(" reads"));
    EXPECT_TRUE(who("X-Api-Key: 0123456789abcdeX\r\n").ends_with(" reads"));
    EXPECT_TRUE(who("X-Api-Key: 0123456789abcdef\r\n").ends_with(" writes"));
    EXPECT_TRUE(who("Authorization: Bearer 0123456789abcdef\r\n").ends_with(" writes"));
}

TEST(ServerGate, believes_what_only_a_configured_proxy_says)
{
    EchoSite site;
    const auto whoami = [&](Gate::Options gate) {
        const auto server = Server::listen({{&site}}, {.gate = std::move(gate)}).value();
        Connection connection(server->ports().front());
        connection.say("GET /whoami HTTP/1.1\r\n" + host
            + "X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: ao.example\r\nConnection: "
              "close\r\n\r\n");
        return connection.hear_all();
    };
    EXPECT_TRUE(whoami({}).ends_with("127.0.0.1 http 127.0.0.1 writes"));
    EXPECT_TRUE(whoami({.hosts = {"ao.example"}, .proxies = {"127.0.0.0/8"}}).ends_with("1.2.3.4 https ao.example writes"));
    EXPECT_TRUE(
        whoami({.hosts = {"ao.example"}, .proxies = {"127.0.0.0/8", "1.2.3.4"}}).ends_with("6.6.6.6 https ao.example writes"));
    EXPECT_TRUE(whoami({.proxies = {"127.0.0.0/8"}}).starts_with("HTTP/1.1 403")) << "a name that is not configured";
}

TEST(ServerLimits, tells_connections_beyond_its_limit_so)
{
    EchoSite site;
    const auto server = Server::listen({{&site}}, {.threads = 2, .connections_max = 3}).value();
    std::list<Connection> open;
    for (int i = 0; i < 3; ++i) {
        auto& connection = open.emplace_back(server->ports().front());
        connection.say("GET /x HTTP/1.1\r\n" + host + "\r\n");
        connection.hear("GET /x");
    }
    Connection fourth(server->ports().front());
    const auto refused = fourth.hear_all();
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 503")) << refused;
    EXPECT_TRUE(refused.ends_with("}\n")) << "the length fits";
    open.pop_front();
    wait_until([&] {
        Connection again(server->ports().front());
        // It may be closed before it speaks.
        return again.try_say("GET /x HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n") && again.hear_all().ends_with("GET /x");
    });
}

TEST(ServerLimits, ask_who_asks_too_often_to_wait_by_the_proxy_s_word)
{
    EchoSite site;
    const auto server = Server::listen({{&site}}, {.address_rate = 1, .gate = {.proxies = {"127.0.0.0/8"}}}).value();
    const auto ask = [&](std::string_view from) {
        Connection connection(server->ports().front());
        connection.say(fmt::format("GET /x HTTP/1.1\r\n{}X-Forwarded-For: {}\r\nConnection: close\r\n\r\n", host, from));
        return connection.hear_all();
    };
    // More come through only where the seconds pass: never all of them at this pace.
    std::string last;
    for (int i = 0; i < 1000 && !last.starts_with("HTTP/1.1 429"); ++i)
        last = ask("192.0.2.7");
    EXPECT_TRUE(holds(last, "Retry-After: 1\r\n"));
    EXPECT_TRUE(holds(last, "node.too_many_requests"));
    EXPECT_TRUE(ask("192.0.2.8").starts_with("HTTP/1.1 200")) << "another one's requests are not counted";
}

TEST(ServerLog, has_a_line_for_each_request)
{
    EchoSite site;
    std::mutex mutex;
    std::vector<Served> lines;
    {
        const auto server = Server::listen({{&site}}, {.log = [&](const Served& served) {
            const std::lock_guard lock(mutex);
            lines.push_back(served);
        }}).value();
        Connection connection(server->ports().front());
        connection.say(
            "POST /x?y HTTP/1.1\r\n" + host + "User-Agent: test\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
        connection.hear_all();
    }
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0].method, "POST");
    EXPECT_EQ(lines[0].target, "/x?y");
    EXPECT_EQ(lines[0].status, 200U);
    EXPECT_EQ(lines[0].bytes_in, 4U);
    EXPECT_EQ(lines[0].bytes_out, 4U);
    EXPECT_EQ(lines[0].agent, "test");
    EXPECT_GT(lines[0].duration_ns, 0);
    lines[0].duration_ns = 1'234'567;
    EXPECT_EQ(access_line(lines[0], 1'700'000'000'123),
        R"({"time":"2023-11-14T22:13:20.123Z","peer":"127.0.0.1","host":"127.0.0.1","method":"POST","target":"/x?y","route":"","status":200,"bytes_in":4,"bytes_out":4,"ms":1.234,"agent":"test"})");
}
