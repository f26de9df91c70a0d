#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Asks an HTTP server over connections that stay open, as fast as it answers. Sockets by hand: the generator must cost less
/// than what it measures.
namespace altiplano::bench {

struct Load {
    std::uint64_t answered = 0;  ///< with 200 or 202
    std::uint64_t refused = 0;
    std::uint64_t body_bytes = 0;
    double seconds = 0;
};

/// A request as it goes over the wire.
std::string get_request(const std::string& path);
std::string post_request(const std::string& path, const std::string& body);

/// Sends every request once, over `connections` at a time; `repeat` times over. The program's end when nobody answers.
Load load(std::uint16_t port, const std::vector<std::string>& requests, std::size_t connections, std::size_t repeat = 1);

/// A program that serves, until the object goes: it and its children are then asked to end.
class Served {
public:
    /// @param ready  what a line of its output begins with when it serves; empty: as soon as the port answers
    Served(std::vector<std::string> command, const std::string& ready, std::uint16_t port);
    ~Served();
    Served(const Served&) = delete;
    Served& operator=(const Served&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    /// Seconds of processor time of the program and of the children that it has now.
    double cpu_seconds() const;

private:
    int process_ = -1;
    std::uint16_t port_;
};

std::uint16_t free_port();

}  // namespace altiplano::bench
