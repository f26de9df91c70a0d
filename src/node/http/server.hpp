#pragma once

#include "node/http/gate.hpp"
#include "node/http/message.hpp"

namespace altiplano::node::http {

/// A request that was answered, for the access log.
struct Served {
    std::string peer;
    std::string method;
    std::string target;
    std::string host;
    std::string agent;
    std::string route;
    unsigned status = 0;
    std::uint64_t bytes_in = 0;  ///< of the body
    std::uint64_t bytes_out = 0;
    std::int64_t duration_ns = 0;  ///< from the header's end to the reply's
};

/// HTTP/1.1 on ports of one address. Serves from construction to destruction, which waits for calls under way. Requests
/// whose Host is not this machine are refused, so that no web page can reach the node by a name of its own.
class Server {
public:
    struct Options {
        std::string address = "127.0.0.1";
        std::size_t threads = 32;  ///< requests served at once; those that wait for a result do not count
        std::size_t loops = 2;  ///< threads that read and write; never blocked
        std::size_t kept_bytes_max = std::size_t{64} << 20;  ///< of finished replies that stay the same; 0: none is kept
        std::size_t connections_max = 1024;  ///< beyond it new ones are told so and closed
        std::size_t address_connections_max = 256;  ///< from one address, unless it is this machine or a proxy
        std::uint64_t address_rate = 0;  ///< requests a second from one address, unless it is this machine; 0: no limit
        std::chrono::milliseconds idle_max{60'000};  ///< of a connection between requests, and of a client that does not read
        std::chrono::milliseconds header_max{20'000};  ///< for a header to come whole
        std::uint64_t body_rate_min = 4096;  ///< bytes a second, on the whole: a body that drips more slowly is given up
        std::size_t header_bytes_max = 16 * 1024;
        std::size_t header_fields_max = 100;
        std::size_t target_bytes_max = 8192;
        Gate::Options gate{};
        std::function<void(const Served&)> log{};  ///< called from many threads
    };
    /// A port, 0 for any free one, and what it serves. Several may serve the same site.
    struct Endpoint {
        Site* site;
        std::uint16_t port = 0;
    };
    /// @return node.cannot_listen, naming the port; node.bad_option for an address that is not this machine's own while
    ///         there is no API key; net.bad_rule
    static Result<std::unique_ptr<Server>> listen(const std::vector<Endpoint>& endpoints, const Options& options);
    virtual ~Server() = default;
    /// In the order of the endpoints.
    virtual std::vector<std::uint16_t> ports() const = 0;
    /// Takes no connection and no request any more, and waits until those under way are answered, at most so long.
    virtual void drain(std::chrono::milliseconds patience) = 0;
};

}  // namespace altiplano::node::http
