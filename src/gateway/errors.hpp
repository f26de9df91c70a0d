#pragma once

#include <string_view>

/// The codes of the room `gateway`. In answers to GraphQL they stand in `extensions.code`.
namespace altiplano::gateway::errors {
inline constexpr std::string_view syntax = "gateway.syntax";  ///< a query that is no GraphQL
inline constexpr std::string_view bad_query = "gateway.bad_query";  ///< a query that does not fit the schema
inline constexpr std::string_view bad_variable = "gateway.bad_variable";  ///< a variable's value is missing or of another type
inline constexpr std::string_view bad_request = "gateway.bad_request";  ///< no query in the request, or no JSON
inline constexpr std::string_view bad_cursor = "gateway.bad_cursor";  ///< `after` names nothing that is here
inline constexpr std::string_view over_limit = "gateway.over_limit";  ///< a query that is too long, too deep or too costly
inline constexpr std::string_view bad_answer = "gateway.bad_answer";  ///< a stored value that its field's type cannot hold
}  // namespace altiplano::gateway::errors
