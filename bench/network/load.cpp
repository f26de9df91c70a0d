#include "network/load.hpp"

#include "lib/bench.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <sstream>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace altiplano::bench {

namespace {

[[noreturn]] void end(const std::string& why)
{
    fmt::print(stderr, "error  {}\n", why);
    std::exit(1);
}

int try_connect(std::uint16_t port)
{
    const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        close(made);
        return -1;
    }
    const int yes = 1;
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return made;
}

/// One connection and what came over it that was not looked at yet.
class Connection {
public:
    explicit Connection(std::uint16_t port)
        : port_(port)
    {
        open();
    }
    ~Connection() { close(socket_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// A server may let a connection go between two requests: then once more over another, as every client does.
    /// @return status and length of the body
    std::pair<unsigned, std::uint64_t> ask(const std::string& request)
    {
        constexpr int attempts_max = 3;
        for (int attempt = 1; attempt < attempts_max; ++attempt) {
            if (const auto answer = try_ask(request))
                return *answer;
            close(socket_);
            open();
        }
        const auto answer = try_ask(request);
        if (!answer)
            end("the server closes the connection before it answers");
        return *answer;
    }

private:
    void open()
    {
        socket_ = try_connect(port_);
        if (socket_ < 0)
            end(fmt::format("nobody listens on port {}", port_));
    }

    /// @return nothing when the connection was closed before a byte of the answer
    std::optional<std::pair<unsigned, std::uint64_t>> try_ask(const std::string& request)
    {
        for (std::size_t sent = 0; sent < request.size();) {
            const auto put = send(socket_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
            if (put <= 0)
                return std::nullopt;
            sent += static_cast<std::size_t>(put);
        }
        std::size_t head_end = 0;
        while ((head_end = in_.find("\r\n\r\n")) == std::string::npos)
            if (!receive() && in_.empty())
                return std::nullopt;
        const auto head = in_.substr(0, head_end);
        const auto status = static_cast<unsigned>(std::atoi(head.c_str() + 9));
        std::uint64_t length = 0;
        for (const char* name : {"Content-Length: ", "content-length: "})
            if (const auto at = head.find(name); at != std::string::npos)
                length = std::strtoull(head.c_str() + at + 16, nullptr, 10);
        if (head.find("chunked") != std::string::npos) {
            std::size_t last = 0;
            while ((last = in_.find("\r\n0\r\n\r\n", head_end)) == std::string::npos)
                receive();
            length = last - head_end;
            in_.erase(0, last + 7);
            return std::pair{status, length};
        }
        while (in_.size() < head_end + 4 + length)
            receive();
        if (status >= 400 && !told_.exchange(true))
            fmt::print(stderr, "refused: {}\n", in_.substr(0, head_end + 4 + length));
        in_.erase(0, head_end + 4 + length);
        return std::pair{status, length};
    }

    /// @return false when the connection was closed, and nothing had come
    bool receive()
    {
        char piece[16384];
        const auto got = recv(socket_, piece, sizeof piece, 0);
        if (got <= 0 && !in_.empty())
            end("the server closed the connection in an answer");
        if (got <= 0)
            return false;
        in_.append(piece, static_cast<std::size_t>(got));
        return true;
    }
    static inline std::atomic<bool> told_ = false;  ///< one refusal says what the others would
    std::uint16_t port_;
    int socket_ = -1;
    std::string in_;
};

double cpu_of(int process)
{
    std::ifstream file(fmt::format("/proc/{}/stat", process));
    std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto after_name = text.rfind(')');
    if (after_name == std::string::npos)
        return 0;
    std::istringstream fields(text.substr(after_name + 2));
    std::string field;
    double ticks = 0;
    for (int i = 3; i <= 17 && fields >> field; ++i)  // 16 and 17: of children that were waited for, user and system
        if (i >= 16)
            ticks += std::stod(field);
    // Its own to the nanosecond, since a small run takes few ticks.
    clockid_t clock{};
    timespec own{};
    if (clock_getcpuclockid(process, &clock) == 0)
        clock_gettime(clock, &own);
    return static_cast<double>(own.tv_sec) + static_cast<double>(own.tv_nsec) / 1e9
        + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

std::string get_request(const std::string& path)
{
    return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
}

std::string post_request(const std::string& path, const std::string& body)
{
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n{}", path,
        body.size(), body);
}

Load load(std::uint16_t port, const std::vector<std::string>& requests, std::size_t connections, std::size_t repeat)
{
    std::atomic<std::size_t> next = 0;
    std::atomic<std::uint64_t> answered = 0;
    std::atomic<std::uint64_t> refused = 0;
    std::atomic<std::uint64_t> bytes = 0;
    Load done;
    done.seconds = seconds([&] {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < connections; ++i)
            threads.emplace_back([&] {
                Connection connection(port);
                for (auto number = next++; number < requests.size() * repeat; number = next++) {
                    const auto [status, length] = connection.ask(requests[number % requests.size()]);
                    ++(status == 200 || status == 202 ? answered : refused);
                    bytes += length;
                }
            });
        for (auto& thread : threads)
            thread.join();
    });
    done.answered = answered;
    done.refused = refused;
    done.body_bytes = bytes;
    return done;
}

Served::Served(std::vector<std::string> command, const std::string& ready, std::uint16_t port)
    : port_(port)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0)
        end("no pipe");
    process_ = fork();
    if (process_ == 0) {
        setpgid(0, 0);
        dup2(out[1], STDOUT_FILENO);
        std::vector<char*> arguments;
        for (auto& one : command)
            arguments.push_back(one.data());
        arguments.push_back(nullptr);
        execvp(arguments[0], arguments.data());
        std::_Exit(127);
    }
    close(out[1]);
    // What it prints later is nobody's: the pipe stays open so that it may.
    if (!ready.empty()) {
        std::string line;
        char c = 0;
        while (read(out[0], &c, 1) == 1) {
            line += c;
            if (c != '\n')
                continue;
            if (line.starts_with(ready))
                return;
            line.clear();
        }
        end(fmt::format("{} did not start", command[0]));
    }
    for (int i = 0; i < 600; ++i) {
        if (const int open = try_connect(port); open >= 0) {
            close(open);
            return;
        }
        usleep(100'000);
    }
    end(fmt::format("{} does not listen on port {}", command[0], port));
}

Served::~Served()
{
    kill(-process_, SIGTERM);
    int status = 0;
    for (int i = 0; i < 300 && waitpid(process_, &status, WNOHANG) == 0; ++i)
        usleep(100'000);
    kill(-process_, SIGKILL);
    waitpid(process_, &status, 0);
}

double Served::cpu_seconds() const
{
    double sum = cpu_of(process_);
    for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process_))) {
        std::ifstream children(entry.path() / "children");
        for (int child = 0; children >> child;)
            sum += cpu_of(child);
    }
    return sum;
}

std::uint16_t free_port()
{
    const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0
        || getsockname(made, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        end("no free port");
    close(made);
    return ntohs(address.sin_port);
}

}  // namespace altiplano::bench
