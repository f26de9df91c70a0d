#include "node/http/openapi.hpp"

#include "base/json.hpp"

#include <algorithm>
#include <cctype>
#include <map>

namespace altiplano::node::http {

namespace {

/// "{path...}" is "{path}" there: OpenAPI has no name for the rest of a path.
std::string path_of(std::string_view pattern)
{
    std::string path(pattern);
    if (const auto dots = path.find("...}"); dots != path.npos)
        path.erase(dots, 3);
    return path;
}

std::string operation_id(const Router::Route& route)
{
    std::string id;
    for (const char c : route.method)
        id += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    for (const auto& segment : route.segments) {
        id += '_';
        for (const char c : segment)
            if (std::isalnum(static_cast<unsigned char>(c)))
                id += c;
            else if (c == '-')
                id += '_';
            else if (c == '{')
                id += "by_";
    }
    return id;
}

void write_operation(JsonWriter& json, const Router::Route& route)
{
    auto method = route.method;
    std::ranges::transform(method, method.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    json.key(method).begin_object();
    json.member("summary", std::string_view(route.summary)).member("operationId", std::string_view(operation_id(route)));
    json.key("parameters").begin_array();
    for (const auto& segment : route.segments)
        if (segment.starts_with('{')) {
            const auto name = path_of(segment);
            json.begin_object()
                .member("name", std::string_view(name).substr(1, name.size() - 2))
                .member("in", "path")
                .member("required", true)
                .key("schema")
                .begin_object()
                .member("type", "string")
                .end_object()
                .end_object();
        }
    json.end_array();
    if (route.body_max > 0 || route.stream) {
        json.key("requestBody").begin_object();
        if (route.body_max > 0)
            json.member("description", std::string_view("at most " + std::to_string(route.body_max) + " bytes"));
        json.key("content").begin_object().key("*/*").begin_object().key("schema").begin_object().end_object().end_object();
        json.end_object().end_object();
    }
    if (route.writes) {
        // An empty requirement beside it: without configured keys everybody may.
        json.key("security").begin_array().begin_object().end_object().begin_object().key("key").begin_array().end_array();
        json.end_object().end_array();
    }
    json.key("responses").begin_object();
    json.key("2XX").begin_object().member("description", std::string_view(route.summary)).end_object();
    json.key("default").begin_object().member("$ref", "#/components/responses/Error").end_object();
    json.end_object().end_object();
}

}  // namespace

std::string openapi(const Router& router)
{
    // One entry for a path, whatever routes it has; of two routes with one method the first answers.
    std::map<std::string, std::map<std::string, const Router::Route*>> paths;
    for (const auto& route : router.routes())
        paths[path_of(route.pattern)].try_emplace(route.method, &route);

    JsonWriter json;
    json.begin_object().member("openapi", "3.1.0").key("info").begin_object();
    json.member("title", "Altiplano, the AO computer")
        .member("version", "0.1.0")
        .member("description", "Written from the table of routes that this node serves.")
        .end_object();
    json.key("paths").begin_object();
    for (const auto& [path, methods] : paths) {
        json.key(path).begin_object();
        for (const auto& [method, route] : methods)
            write_operation(json, *route);
        json.end_object();
    }
    json.end_object().key("components").begin_object();
    json.key("securitySchemes").begin_object().key("key").begin_object();
    json.member("type", "apiKey").member("in", "header").member("name", "X-Api-Key").end_object().end_object();
    json.key("responses").begin_object().key("Error").begin_object();
    json.member("description", "what was wrong: docs/errors.md lists the codes");
    json.key("content").begin_object().key("application/json").begin_object().key("schema").begin_object();
    json.member("type", "object").key("required").begin_array().string("error").string("code").end_array();
    json.key("properties").begin_object();
    for (const auto* name : {"error", "code", "hint"})
        json.key(name).begin_object().member("type", "string").end_object();
    json.end_object().end_object().end_object().end_object().end_object().end_object().end_object().end_object();
    return std::move(json).text();
}

}  // namespace altiplano::node::http
