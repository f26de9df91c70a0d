#pragma once

#include "node/http/message.hpp"

#include <atomic>
#include <map>

namespace altiplano::node::http {

/// Finds who answers a request: a table of methods and patterns, which is also what the OpenAPI document, the metrics and
/// the answers 404 and 405 are made from. Filled before it serves, then only read.
class Router final : public Site {
public:
    using Handler = std::function<Result<Reply>(const Request& request)>;
    using BodyMaker = std::function<Result<std::unique_ptr<Body>>(const Request& request)>;
    /// Answers from the table that it is asked in.
    using TableHandler = std::function<Reply(const Router& table)>;
    using ErrorReply = std::function<Reply(const Error& error)>;

    /// One row. In a pattern `{name}` stands for one segment that is not empty, `{name...}` at the end for all that is
    /// left, slashes too. Where several rows fit a path, the one with a literal segment first wins.
    struct Route {
        std::string method;
        std::string pattern;
        std::string summary;  ///< one sentence for the OpenAPI document
        Handler handler{};
        std::uint64_t body_max = 0;  ///< of the body that `handler` gets whole; 0: it takes none
        BodyMaker stream{};  ///< instead of `handler`: for bodies that are taken as they come
        TableHandler table{};  ///< instead of both
        ErrorReply error{};
        bool writes = false;  ///< needs a key where keys are configured; all methods but GET, unless `reads` says otherwise
        std::vector<std::string> segments{};
    };

    /// How errors of routes added from now on become replies; `error_reply` at first.
    void errors_by(ErrorReply error) { error_ = std::move(error); }
    /// GET, and HEAD with it.
    void get(std::string pattern, std::string summary, Handler handler);
    void on(std::string method, std::string pattern, std::string summary, Handler handler, std::uint64_t body_max = 0);
    void stream(std::string method, std::string pattern, std::string summary, BodyMaker maker);
    void table(std::string pattern, std::string summary, TableHandler handler);
    /// Says of a route that is there that it changes nothing, though its method is not GET: a query, a dry run.
    void reads(std::string_view method, std::string_view pattern);
    /// And of one that it does change something, though its method is GET.
    void writes(std::string_view method, std::string_view pattern);
    /// All routes of another table below a path: `/su`. That table's own root is then `/su` as well as `/su/`.
    void mount(std::string_view prefix, const Router& other);

    Answer open(Request request) override;
    const std::vector<Route>& routes() const noexcept { return routes_; }

private:
    void set_writes(std::string_view method, std::string_view pattern, bool writes);
    void add(Route route);
    struct Found;
    Found find(const std::string& path, std::string_view method) const;

    std::vector<Route> routes_;
    ErrorReply error_ = error_reply;
};

/// The segments of a path: "/a/b" has a and b, "/" one that is empty.
std::vector<std::string> segments_of(std::string_view path);

}  // namespace altiplano::node::http
