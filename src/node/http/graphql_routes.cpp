#include "node/http/graphql_routes.hpp"

#include "base/json.hpp"
#include "gateway/errors.hpp"

namespace altiplano::node::http {

namespace {

using gateway::graphql::Answer;
using gateway::graphql::Problem;

// The query itself is limited by the engine; this holds its variables too.
constexpr std::uint64_t body_max = 2 << 20;

Reply reply_of(Answer answer)
{
    // A request that was not executed is 400, with GraphQL's own errors in it, as gateways and Apollo have it.
    return {.status = answer.refused ? 400U : 200U,
        .content_type = "application/json; charset=utf-8",
        .body = std::move(answer.json) + "\n"};
}

Reply refuse(std::string message, std::string hint)
{
    return reply_of(gateway::graphql::refused(
        {Problem{.code = gateway::errors::bad_request, .message = std::move(message), .hint = std::move(hint)}}));
}

/// The request in a JSON body: {"query", "variables", "operationName"}.
Reply answer_json(Node& node, const std::string& body)
{
    const auto json = JsonView::parse(body);
    if (!json)
        return refuse("the body is no JSON: " + json.error().sentence, R"(send {"query": "{ ... }", "variables": { ... }})");
    const auto query = json->find("query");
    const auto text = query ? query->string() : std::nullopt;
    if (!text)
        return refuse("the body has no text \"query\"", R"(send {"query": "{ ... }", "variables": { ... }})");
    gateway::graphql::Request request{.query = *text};
    if (const auto variables = json->find("variables"))
        request.variables = variables->raw();
    if (const auto name = json->find("operationName"))
        request.operation_name = name->string();
    return reply_of(node.gateway().query(request));
}

Result<Reply> post(Node& node, const Request& request)
{
    if (request.header("content-type").starts_with("application/graphql"))
        return reply_of(node.gateway().query({.query = request.body}));
    return answer_json(node, request.body);
}

Result<Reply> get(Node& node, const Request& request)
{
    const auto query = request.query_value("query");
    if (!query)
        return refuse("there is no \"query\"", "POST {\"query\": \"{ ... }\"}, or GET /graphql?query=...");
    gateway::graphql::Request asked{
        .query = std::string(*query), .variables = std::string(request.query_value("variables").value_or(""))};
    if (const auto name = request.query_value("operationName"))
        asked.operation_name = std::string(*name);
    return reply_of(node.gateway().query(asked));
}

}  // namespace

void add_graphql_routes(Router& router, Node& node)
{
    router.on(
        "POST", "/graphql", "GraphQL over the weave: transactions and blocks",
        [&node](const Request& request) { return post(node, request); }, body_max);
    router.get("/graphql", "the same, the query in ?query=&variables=&operationName=", [&node](const Request& request) {
        return get(node, request);
    });
}

}  // namespace altiplano::node::http
