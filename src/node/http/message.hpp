#pragma once

#include "weave/weave.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// HTTP as this node serves it: requests, replies, and what turns one into the other.
namespace altiplano::node::http {

/// Where a router writes which route took a request: for the log and the counters.
struct Trace {
    std::string route{};  ///< its pattern; empty: none
};

struct Request {
    std::string method{};  ///< upper case
    std::string target{};  ///< path and query as they came
    std::string path{};  ///< decoded, without the query
    std::vector<std::pair<std::string, std::string>> query{};  ///< decoded
    std::vector<std::pair<std::string, std::string>> headers{};  ///< names in lower case
    std::string peer{};  ///< the address that it came from, by the word of a configured proxy if there is one
    std::string host{};  ///< what the client calls this node: name and port
    std::string scheme = "http";  ///< by which the client came
    bool may_write = true;  ///< false: a key is needed for that, and none was given
    bool has_key = false;  ///< whether a key was given that this node has
    std::shared_ptr<Trace> trace{};
    std::vector<std::pair<std::string, std::string>> parameters{};  ///< what the route's {names} stand for
    std::string body{};  ///< of routes that take one whole

    /// Empty when there is none. @param name  in lower case
    std::string_view header(std::string_view name) const;
    std::optional<std::string_view> query_value(std::string_view name) const;
    /// @param name  one of the route's own
    std::string_view parameter(std::string_view name) const;
};

/// What goes back: a body in memory, parts of an item's data, events for as long as the client stays, or a reply that comes
/// later.
struct Reply {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string body{};
    /// The same target has this reply, header fields and all, for as long as the program runs and whoever asks: it may be given
    /// again without asking.
    bool lasting = false;
    std::unique_ptr<weave::ItemData> data{};  ///< after `body`: [data_offset, data_offset + data_length) of this
    std::uint64_t data_offset = 0;
    std::uint64_t data_length = 0;
    /// Begins to call `push` with the data of server-sent events, from any thread, until the returned handle is destroyed.
    /// Nothing in place of data: that was all, and the connection ends.
    using Push = std::function<void(std::optional<std::string> data)>;
    /// Instead of both.
    std::function<std::shared_ptr<void>(Push push)> events{};
    /// Instead of all of it: is called once, returns at once, and has `done` called with the reply from any thread, later.
    /// Whoever waits holds no thread meanwhile.
    std::function<void(std::function<void(Reply)> done)> later{};
};

/// {"error","code","hint"} with the status that the code has (status.cpp).
Reply error_reply(const Error& error);
unsigned status_of(std::string_view code);

/// Takes a request's body as it comes.
class Body {
public:
    virtual ~Body() = default;
    /// @return an error ends the request at once
    virtual Result<void> append(Bytes piece) = 0;
    virtual Reply finish() = 0;
};

/// What a server serves. Called from many threads; calls may block.
class Site {
public:
    virtual ~Site() = default;
    /// Answers at once, or says who takes the body first.
    using Answer = std::variant<Reply, std::unique_ptr<Body>>;
    virtual Answer open(Request request) = 0;
};

}  // namespace altiplano::node::http
