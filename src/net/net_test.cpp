#include "net/address.hpp"
#include "net/errors.hpp"
#include "net/http.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace altiplano::net {

namespace {

/// Answers each connection with what `answer` says to the request's head and body, on a free port of loopback.
class TinyServer {
public:
    explicit TinyServer(std::function<std::string(const std::string& request)> answer)
        : answer_(std::move(answer))
        , listener_(socket(AF_INET, SOCK_STREAM, 0))
    {
        sockaddr_in at{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
        EXPECT_EQ(listen(listener_, 16), 0);
        socklen_t size = sizeof at;
        getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ntohs(at.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~TinyServer()
    {
        shutdown(listener_, SHUT_RDWR);
        thread_.join();
        close(listener_);
    }
    std::string url(std::string_view path = "/") const { return fmt::format("http://127.0.0.1:{}{}", port_, path); }
    std::uint16_t port() const { return port_; }
    int connections = 0;

private:
    void serve()
    {
        for (;;) {
            const int client = accept(listener_, nullptr, nullptr);
            if (client < 0)
                return;
            ++connections;
            std::string request;
            char piece[4096];
            while (request.find("\r\n\r\n") == request.npos) {
                const auto got = read(client, piece, sizeof piece);
                if (got <= 0)
                    break;
                request.append(piece, static_cast<std::size_t>(got));
            }
            if (const auto length = request.find("Content-Length: "); length != request.npos) {
                const auto whole = request.find("\r\n\r\n") + 4 + std::stoul(request.substr(length + 16));
                while (request.size() < whole) {
                    const auto got = read(client, piece, sizeof piece);
                    if (got <= 0)
                        break;
                    request.append(piece, static_cast<std::size_t>(got));
                }
            }
            const auto reply = answer_(request);
            for (std::size_t done = 0; done < reply.size();) {
                const auto sent = send(client, reply.data() + done, reply.size() - done, MSG_NOSIGNAL);
                if (sent <= 0)
                    break;
                done += static_cast<std::size_t>(sent);
            }
            close(client);
        }
    }
    std::function<std::string(const std::string&)> answer_;
    int listener_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

std::string ok(std::string_view body)
{
    return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Thing: one\r\n\r\n{}", body.size(), body);
}

std::unique_ptr<Http> loopback()
{
    return curl_http(AddressRules::of({"127.0.0.0/8"}).value());
}

Address address(std::string_view text)
{
    return Address::parse(text).value();
}

}  // namespace

TEST(Address, knows_what_is_public)
{
    for (const auto* text : {"8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a00::1"})
        EXPECT_TRUE(is_public(address(text))) << text;
    for (const auto* text : {"127.0.0.1", "127.255.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1",
             "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.0.1", "203.0.113.9",
             "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
             "2002:7f00:1::", "2001::1", "2001:db8::1", "::127.0.0.1", "100::1"})
        EXPECT_FALSE(is_public(address(text))) << text;
}

TEST(AddressRules, allow_what_is_listed_and_the_public_internet)
{
    const auto rules = AddressRules::of({"10.1.0.0/16", "192.168.7.7:4003", "inside.example", "[fd00::]/8", "[::1]:80"}).value();
    EXPECT_TRUE(rules.allows("anything", 80, address("10.1.255.1")));
    EXPECT_FALSE(rules.allows("anything", 80, address("10.2.0.1")));
    EXPECT_TRUE(rules.allows("x", 4003, address("192.168.7.7")));
    EXPECT_FALSE(rules.allows("x", 4004, address("192.168.7.7")));
    EXPECT_TRUE(rules.allows("inside.example", 1, address("127.0.0.1")));
    EXPECT_FALSE(rules.allows("outside.example", 1, address("127.0.0.1")));
    EXPECT_TRUE(rules.allows("x", 1, address("fd12::1")));
    EXPECT_TRUE(rules.allows("x", 80, address("::1")));
    EXPECT_FALSE(rules.allows("x", 81, address("::1")));
    EXPECT_TRUE(rules.allows("x", 443, address("8.8.8.8")));
    EXPECT_FALSE(AddressRules::of({}, false)->allows("x", 443, address("8.8.8.8")));
}

TEST(AddressRules, refuse_what_says_no_address)
{
    for (const auto* text : {"", "10.0.0.0/33", "name/8", "1.2.3.4:99999", "[::1", "::1", "10.0.0.0/x", ":80"}) {
        const auto rules = AddressRules::of({text});
        ASSERT_FALSE(rules) << text;
        EXPECT_EQ(rules.error().code, errors::bad_rule);
    }
}

TEST(Url, is_taken_apart_as_libcurl_will_ask_it)
{
    const auto url = parse_url("HTTP://example.org/a/../b?q=1#part").value();
    EXPECT_EQ(url.origin(), "http://example.org:80");
    EXPECT_EQ(url.text, "http://example.org/b?q=1");
    EXPECT_EQ(parse_url("http://Example.ORG/")->host, "example.org");
    EXPECT_EQ(parse_url("https://[::1]:8443/")->host, "::1");
    EXPECT_EQ(parse_url("/c", url)->text, "http://example.org/c");
    EXPECT_EQ(parse_url("//other.example/d", url)->origin(), "http://other.example:80");
    // Forms of an IPv4 address that only some parsers take for one: here they all are.
    EXPECT_EQ(parse_url("http://0x7f000001/")->host, "127.0.0.1");
    EXPECT_EQ(parse_url("http://2130706433/")->host, "127.0.0.1");
    EXPECT_EQ(parse_url("http://0177.1/")->host, "127.0.0.1");
}

TEST(Url, refuses_what_is_not_http)
{
    for (const auto* text : {"file:///etc/passwd", "gopher://x/", "ftp://x/", "http://user:word@host/", "http://", "", "no url",
             "http://a b/", "http://host/\r\nX: y", "javascript:1"}) {
        const auto url = parse_url(text);
        ASSERT_FALSE(url) << text;
        EXPECT_EQ(url.error().code, errors::bad_url);
    }
    EXPECT_FALSE(parse_url("http://host/" + std::string(10'000, 'a')));
}

TEST(Http, asks_and_gives_any_answer)
{
    std::string seen;
    TinyServer server([&](const std::string& request) {
        seen = request;
        return ok("hello");
    });
    const auto answer = loopback()->send({.url = server.url("/x?y=1"), .headers = {{"Accept", "text/plain"}}});
    ASSERT_TRUE(answer) << answer.error().sentence;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "hello");
    EXPECT_EQ(answer->header("x-thing"), "one");
    EXPECT_TRUE(seen.starts_with("GET /x?y=1 HTTP/1.1\r\n"));
    EXPECT_NE(seen.find("Accept: text/plain\r\n"), seen.npos);

    TinyServer refusing([](const std::string&) { return "HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno"; });
    EXPECT_EQ(loopback()->send({.url = refusing.url()})->status, 400);
}

TEST(Http, asks_no_address_that_is_neither_public_nor_listed)
{
    TinyServer server([](const std::string&) { return ok("secret"); });
    const auto http = curl_http({});
    for (const auto& url : {server.url(), fmt::format("http://localhost:{}/", server.port()),
             fmt::format("http://0x7f.1:{}/", server.port()), fmt::format("http://[::ffff:127.0.0.1]:{}/", server.port()),
             std::string("http://169.254.169.254/latest/meta-data")}) {
        const auto answer = http->send({.url = url});
        ASSERT_FALSE(answer) << url;
        EXPECT_EQ(answer.error().code, errors::address_refused) << url << ": " << answer.error().sentence;
    }
    EXPECT_EQ(server.connections, 0);
}

TEST(Http, a_redirect_is_checked_like_the_first_address)
{
    TinyServer inside([](const std::string&) { return ok("secret"); });
    TinyServer outside([&](const std::string&) {
        return fmt::format("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", inside.url());
    });
    const auto rules = AddressRules::of({fmt::format("127.0.0.1:{}", outside.port())}).value();
    const auto answer = curl_http(rules)->send({.url = outside.url()});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, errors::address_refused);
    EXPECT_EQ(inside.connections, 0);

    TinyServer elsewhere(
        [](const std::string&) { return "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"; });
    EXPECT_EQ(loopback()->send({.url = elsewhere.url()}).error().code, errors::bad_url);
}

TEST(Http, a_307_sends_method_and_body_again_and_the_key_only_to_the_same_server)
{
    std::string seen;
    TinyServer second([&](const std::string& request) {
        seen = request;
        return ok("done");
    });
    TinyServer first([&](const std::string&) {
        return fmt::format("HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", second.url("/there"));
    });
    const auto answer = loopback()->send({.method = "POST",
        .url = first.url(),
        .headers = {{"Authorization", "Bearer k"}, {"X-Api-Key", "k"}},
        .body = as_bytes("an item")});
    ASSERT_TRUE(answer) << answer.error().sentence;
    EXPECT_EQ(answer->body, "done");
    EXPECT_TRUE(seen.starts_with("POST /there HTTP/1.1\r\n"));
    EXPECT_TRUE(seen.ends_with("\r\n\r\nan item"));
    EXPECT_EQ(seen.find("Authorization"), seen.npos);
    EXPECT_EQ(seen.find("X-Api-Key"), seen.npos);
}

TEST(Http, redirects_come_to_an_end)
{
    TinyServer server([](const std::string&) { return "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"; });
    const auto answer = loopback()->send({.url = server.url()});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, errors::too_many_redirects);
    EXPECT_EQ(server.connections, 6);
    EXPECT_EQ(loopback()->send({.url = server.url(), .redirects_max = 0})->status, 302);
}

TEST(Http, an_answer_over_its_limit_ends_the_request)
{
    TinyServer server([](const std::string&) { return ok(std::string(100'000, 'x')); });
    EXPECT_EQ(loopback()->send({.url = server.url(), .answer_bytes_max = 99'999}).error().code, errors::answer_over_limit);
    EXPECT_EQ(loopback()->send({.url = server.url(), .answer_bytes_max = 100'000})->body.size(), 100'000);

    TinyServer headers([](const std::string&) {
        std::string reply = "HTTP/1.1 200 OK\r\n";
        for (int i = 0; i < 100; ++i)
            reply += fmt::format("X-{}: {}\r\n", i, std::string(1000, 'h'));
        return reply + "\r\n";
    });
    EXPECT_EQ(loopback()->send({.url = headers.url()}).error().code, errors::answer_over_limit);
}

TEST(Http, who_does_not_answer_is_given_up)
{
    std::mutex held;
    held.lock();
    TinyServer server([&](const std::string&) {
        const std::lock_guard wait(held);
        return ok("late");
    });
    EXPECT_EQ(loopback()->send({.url = server.url(), .total_ms_max = 100}).error().code, errors::timed_out);
    held.unlock();
}

TEST(Http, nobody_there_is_unreachable)
{
    std::uint16_t port = 0;
    {
        const TinyServer gone([](const std::string&) { return ok(""); });
        port = gone.port();
    }
    EXPECT_EQ(loopback()->send({.url = fmt::format("http://127.0.0.1:{}/", port)}).error().code, errors::unreachable);
    EXPECT_EQ(loopback()->send({.url = "http://no-such-host.invalid/"}).error().code, errors::unreachable);
}

TEST(Http, a_download_comes_in_pieces_and_may_be_refused)
{
    TinyServer server([](const std::string&) { return ok(std::string(1'000'000, 'x')); });
    std::size_t got = 0;
    const auto answer = loopback()->download({.url = server.url()}, [&](Bytes piece) -> Result<void> {
        got += piece.size();
        return {};
    });
    ASSERT_TRUE(answer) << answer.error().sentence;
    EXPECT_EQ(got, 1'000'000);
    EXPECT_TRUE(answer->body.empty());
    const auto refused =
        loopback()->download({.url = server.url()}, [](Bytes) -> Result<void> { return fail("test.enough", "enough"); });
    EXPECT_EQ(refused.error().code, "test.enough");
}

TEST(Http, ends_what_is_under_way_when_it_stops)
{
    std::mutex held;
    held.lock();
    TinyServer server([&](const std::string&) {
        const std::lock_guard wait(held);
        return ok("late");
    });
    const auto http = loopback();
    std::thread stopper([&] { http->stop(); });
    EXPECT_EQ(http->send({.url = server.url()}).error().code, errors::stopping);
    stopper.join();
    EXPECT_EQ(http->send({.url = server.url()}).error().code, errors::stopping);
    held.unlock();
}

}  // namespace altiplano::net
