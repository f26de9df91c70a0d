#pragma once

#include "base/files.hpp"
#include "weave/weave.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace altiplano::node::http {

struct Request {
    std::string method;  ///< GET, HEAD, POST, OPTIONS
    std::string path;  ///< decoded, without the query
    std::vector<std::pair<std::string, std::string>> query;  ///< decoded
    std::string range;  ///< the Range header, if any
    std::string if_none_match;
};

/// What goes back: a body in memory, a part of an item's data, or events for as long as the client stays.
struct Reply {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string body{};
    std::unique_ptr<weave::ItemData> data{};  ///< instead of `body`: [data_offset, data_offset + data_length)
    std::uint64_t data_offset = 0;
    std::uint64_t data_length = 0;
    /// Instead of both: begins to call `push` with the data of server-sent events, from any thread, until the returned
    /// handle is destroyed.
    std::function<std::shared_ptr<void>(std::function<void(std::string)> push)> events{};
};

/// {"error":{"code","sentence","hint"}} with the status that the code has (routes.cpp).
Reply error_reply(const Error& error);

/// Takes a request's body as it comes.
class Body {
public:
    virtual ~Body() = default;
    /// @return an error ends the request at once
    virtual Result<void> append(Bytes piece) = 0;
    virtual Reply finish() = 0;
};

/// What the server serves. Called from many threads; calls may block.
class Site {
public:
    virtual ~Site() = default;
    /// GET, HEAD, OPTIONS.
    virtual Reply get(const Request& request) = 0;
    virtual Result<std::unique_ptr<Body>> post(const Request& request) = 0;
};

/// HTTP/1.1 on one port of the loopback interface. Serves from construction to destruction, which waits for calls under
/// way. Requests whose Host is not this machine are refused, so that no web page can reach the node by a name of its own.
class Server {
public:
    struct Options {
        std::string address = "127.0.0.1";
        std::uint16_t port = 0;  ///< 0: any free one
        std::size_t threads = 32;  ///< requests served at once
        std::size_t connections_max = 512;
    };
    /// @return node.cannot_listen
    static Result<std::unique_ptr<Server>> listen(Site& site, const Options& options);
    virtual ~Server() = default;
    virtual std::uint16_t port() const = 0;
};

}  // namespace altiplano::node::http
