#include "gateway/graphql/request.hpp"

#include "base/result.hpp"
#include "gateway/errors.hpp"
#include "gateway/graphql/introspection.hpp"
#include "gateway/graphql/parser.hpp"
#include "gateway/graphql/plan.hpp"
#include "gateway/graphql/validate.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::gateway::graphql {

namespace {

void write(JsonWriter& json, const Problem& problem)
{
    json.begin_object().member("message", std::string_view(problem.message));
    if (!problem.places.empty()) {
        json.key("locations").begin_array();
        for (const auto& place : problem.places)
            json.begin_object()
                .member("line", std::uint64_t{place.line})
                .member("column", std::uint64_t{place.column})
                .end_object();
        json.end_array();
    }
    if (!problem.path.empty()) {
        json.key("path").begin_array();
        for (const auto& step : problem.path) {
            if (const auto* key = std::get_if<std::string>(&step))
                json.string(*key);
            else
                json.number(std::uint64_t{std::get<std::size_t>(step)});
        }
        json.end_array();
    }
    json.key("extensions").begin_object().member("code", problem.code);
    if (!problem.hint.empty())
        json.member("hint", std::string_view(problem.hint));
    json.end_object().end_object();
}

void write(JsonWriter& json, const std::vector<Problem>& problems)
{
    json.key("errors").begin_array();
    for (const auto& problem : problems)
        write(json, problem);
    json.end_array();
}

/// The operation that is meant (specification 6.1).
Checked<const Operation*> choose(const Document& document, const std::optional<std::string>& name)
{
    if (!name || name->empty()) {
        if (document.operations.size() == 1)
            return &document.operations.front();
        return std::unexpected(Problem{.code = errors::bad_query,
            .message = "Must provide operation name if query contains multiple operations.",
            .hint = "name one in \"operationName\""});
    }
    const auto found = std::ranges::find(document.operations, *name, &Operation::name);
    if (found == document.operations.end())
        return std::unexpected(
            Problem{.code = errors::bad_query, .message = fmt::format("Unknown operation named \"{}\".", *name)});
    return &*found;
}

Checked<std::optional<JsonView>> variables_of(const Request& request)
{
    if (request.variables.empty())
        return std::optional<JsonView>{};
    auto json = JsonView::parse(request.variables);
    if (!json)
        return std::unexpected(
            Problem{.code = errors::bad_request, .message = "\"variables\" is no JSON: " + json.error().sentence});
    return std::optional(*json);
}

}  // namespace

Answer refused(const std::vector<Problem>& problems)
{
    JsonWriter json;
    json.begin_object();
    write(json, problems);
    json.end_object();
    return {.json = std::move(json).text(), .refused = true};
}

Answer answer(const Schema& schema, const Request& request, const Object& root, const Limits& limits)
{
    // What was written, and whether it can be asked at all.
    const auto document = parse(request.query, limits);
    if (!document)
        return refused({document.error()});
    if (const auto problems = validate(schema, *document, limits); !problems.empty())
        return refused(problems);

    // What is asked this time.
    const auto operation = choose(*document, request.operation_name);
    if (!operation)
        return refused({operation.error()});
    const auto given = variables_of(request);
    if (!given)
        return refused({given.error()});
    const auto variables = coerce_variables(schema, **operation, *given);
    if (!variables)
        return refused({variables.error()});
    const auto fields = plan(schema, *document, **operation, *variables, limits);
    if (!fields)
        return refused({fields.error()});

    // What is found.
    std::vector<Problem> problems;
    JsonWriter json;
    json.begin_object().key("data");
    if (const auto done = execute(*fields, IntrospectiveRoot(schema, root), limits, json, problems); !done)
        return refused({done.error()});
    if (!problems.empty())
        write(json, problems);
    json.end_object();
    return {.json = std::move(json).text()};
}

}  // namespace altiplano::gateway::graphql
