#include "node/http/router.hpp"

#include "node/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::node::http {

namespace {

bool is_parameter(std::string_view segment)
{
    return segment.starts_with('{') && segment.ends_with('}');
}
bool takes_rest(std::string_view segment)
{
    return is_parameter(segment) && segment.ends_with("...}");
}

/// Whether a pattern fits, and what its parameters stand for.
std::optional<std::vector<std::pair<std::string, std::string>>> fit(
    const std::vector<std::string>& pattern, const std::vector<std::string>& path)
{
    std::vector<std::pair<std::string, std::string>> parameters;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const auto& want = pattern[i];
        if (takes_rest(want)) {
            if (i >= path.size())
                return std::nullopt;
            std::string rest;
            for (auto j = i; j < path.size(); ++j)
                rest += (j == i ? "" : "/") + path[j];
            parameters.emplace_back(want.substr(1, want.size() - 5), std::move(rest));
            return parameters;
        }
        if (i >= path.size())
            return std::nullopt;
        if (!is_parameter(want)) {
            if (want != path[i])
                return std::nullopt;
        } else if (path[i].empty()) {
            return std::nullopt;
        } else {
            parameters.emplace_back(want.substr(1, want.size() - 2), path[i]);
        }
    }
    return pattern.size() == path.size() ? std::optional(std::move(parameters)) : std::nullopt;
}

/// Of two patterns that fit one path: literal before parameter before rest, from the front.
bool more_special(const std::vector<std::string>& one, const std::vector<std::string>& other)
{
    const auto rank = [](const std::string& segment) { return takes_rest(segment) ? 2 : is_parameter(segment) ? 1 : 0; };
    for (std::size_t i = 0; i < std::min(one.size(), other.size()); ++i)
        if (rank(one[i]) != rank(other[i]))
            return rank(one[i]) < rank(other[i]);
    return false;
}

class WholeBody final : public Body {
public:
    WholeBody(Request request, const Router::Route& route)
        : request_(std::move(request))
        , route_(route)
    {
    }
    Result<void> append(Bytes piece) override
    {
        if (request_.body.size() + piece.size() > route_.body_max)
            return fail(
                errors::body_over_limit, fmt::format("a body for {} has at most {} bytes", route_.pattern, route_.body_max));
        request_.body += as_text(piece);
        return {};
    }
    Reply finish() override
    {
        auto reply = route_.handler(request_);
        return reply ? *std::move(reply) : route_.error(reply.error());
    }

private:
    Request request_;
    const Router::Route& route_;
};

}  // namespace

std::string_view Request::header(std::string_view name) const
{
    for (const auto& [have, value] : headers)
        if (have == name)
            return value;
    return {};
}

std::optional<std::string_view> Request::query_value(std::string_view name) const
{
    for (const auto& [have, value] : query)
        if (have == name)
            return value;
    return std::nullopt;
}

std::string_view Request::parameter(std::string_view name) const
{
    for (const auto& [have, value] : parameters)
        if (have == name)
            return value;
    return {};
}

std::vector<std::string> segments_of(std::string_view path)
{
    std::vector<std::string> segments;
    while (!path.empty()) {
        path.remove_prefix(1);
        const auto segment = path.substr(0, path.find('/'));
        segments.emplace_back(segment);
        path.remove_prefix(segment.size());
    }
    return segments;
}

void Router::add(Route route)
{
    route.segments = segments_of(route.pattern);
    if (!route.error)
        route.error = error_;
    routes_.push_back(std::move(route));
}

void Router::get(std::string pattern, std::string summary, Handler handler)
{
    on("GET", std::move(pattern), std::move(summary), std::move(handler));
}

void Router::on(std::string method, std::string pattern, std::string summary, Handler handler, std::uint64_t body_max)
{
    const bool method_writes = method != "GET";
    add({.method = std::move(method),
        .pattern = std::move(pattern),
        .summary = std::move(summary),
        .handler = std::move(handler),
        .body_max = body_max,
        .writes = method_writes});
}

void Router::stream(std::string method, std::string pattern, std::string summary, BodyMaker maker)
{
    add({.method = std::move(method),
        .pattern = std::move(pattern),
        .summary = std::move(summary),
        .stream = std::move(maker),
        .writes = true});
}

void Router::table(std::string pattern, std::string summary, TableHandler handler)
{
    add({.method = "GET", .pattern = std::move(pattern), .summary = std::move(summary), .table = std::move(handler)});
}

void Router::reads(std::string_view method, std::string_view pattern)
{
    set_writes(method, pattern, false);
}

void Router::writes(std::string_view method, std::string_view pattern)
{
    set_writes(method, pattern, true);
}

void Router::set_writes(std::string_view method, std::string_view pattern, bool writes)
{
    bool found = false;
    for (auto& route : routes_)
        if (route.method == method && route.pattern == pattern) {
            route.writes = writes;
            found = true;
        }
    ENSURE(found, "the route is in the table");
}

void Router::mount(std::string_view prefix, const Router& other)
{
    for (auto route : other.routes_) {
        const bool root = route.pattern == "/";
        route.pattern = std::string(prefix) + route.pattern;
        add(route);
        if (root) {
            route.pattern = prefix;
            add(std::move(route));
        }
    }
}

struct Router::Found {
    const Route* route = nullptr;
    std::vector<std::pair<std::string, std::string>> parameters{};
    std::string methods{};  ///< that the path has, if not this one
};

Router::Found Router::find(const std::string& path, std::string_view method) const
{
    const auto segments = segments_of(path);
    Found found;
    for (const auto& route : routes_) {
        auto parameters = fit(route.segments, segments);
        if (!parameters)
            continue;
        if (found.methods.find(route.method) == found.methods.npos)
            found.methods += (found.methods.empty() ? "" : ", ") + route.method + (route.method == "GET" ? ", HEAD" : "");
        if (route.method != method)
            continue;
        if (!found.route || more_special(route.segments, found.route->segments)) {
            found.route = &route;
            found.parameters = *std::move(parameters);
        }
    }
    return found;
}

Site::Answer Router::open(Request request)
{
    const auto method = request.method == "HEAD" ? std::string_view("GET") : std::string_view(request.method);
    auto found = find(request.path, method);
    if (request.method == "OPTIONS" && !found.route)
        return Reply{.status = 204,
            .headers = {{"Allow", found.methods + (found.methods.empty() ? "OPTIONS" : ", OPTIONS")},
                {"Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"}, {"Access-Control-Allow-Headers", "*"},
                {"Access-Control-Max-Age", "86400"}}};
    if (!found.route && found.methods.empty())
        return error_reply({errors::unknown_path, fmt::format("there is nothing at {}", request.path),
            "/~altiplano/openapi.json lists all paths"});
    if (!found.route) {
        auto reply = error_reply({errors::bad_method, fmt::format("{} does not take {}", request.path, request.method),
            fmt::format("it takes {}", found.methods)});
        reply.headers.emplace_back("Allow", found.methods);
        return reply;
    }
    request.parameters = std::move(found.parameters);
    const auto& route = *found.route;
    if (request.trace)
        request.trace->route = route.pattern;
    if (route.writes && !request.may_write)
        return error_reply(
            {errors::key_needed, fmt::format("{} {} writes, and this node wants a key for that", route.method, route.pattern),
                "send one of its API keys as `Authorization: Bearer KEY` or `X-Api-Key: KEY`"});
    if (route.table)
        return route.table(*this);
    if (route.stream) {
        auto body = route.stream(request);
        if (!body)
            return route.error(body.error());
        return *std::move(body);
    }
    if (route.body_max > 0)
        return std::make_unique<WholeBody>(std::move(request), route);
    auto reply = route.handler(request);
    return reply ? *std::move(reply) : route.error(reply.error());
}

}  // namespace altiplano::node::http
