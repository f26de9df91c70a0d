#pragma once

#include "node/http/message.hpp"

namespace altiplano::node::http {

/// HTTP/1.1 on ports of one address. Serves from construction to destruction, which waits for calls under way. Requests
/// whose Host is not this machine are refused, so that no web page can reach the node by a name of its own.
class Server {
public:
    struct Options {
        std::string address = "127.0.0.1";
        std::size_t threads = 32;  ///< requests served at once
        std::size_t connections_max = 1024;  ///< beyond it new ones are closed at once
        std::chrono::seconds idle_max{60};  ///< of a connection between requests, and of a client that does not read
        std::chrono::seconds header_max{20};  ///< for a header to come whole
        std::uint64_t body_rate_min = 4096;  ///< bytes a second, on the whole: a body that drips more slowly is given up
    };
    /// A port, 0 for any free one, and what it serves. Several may serve the same site.
    struct Endpoint {
        Site* site;
        std::uint16_t port = 0;
    };
    /// @return node.cannot_listen, naming the port
    static Result<std::unique_ptr<Server>> listen(const std::vector<Endpoint>& endpoints, const Options& options);
    virtual ~Server() = default;
    /// In the order of the endpoints.
    virtual std::vector<std::uint16_t> ports() const = 0;
};

}  // namespace altiplano::node::http
