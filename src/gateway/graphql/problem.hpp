#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// GraphQL (specification of October 2021) over any schema given as a table: text in, JSON out. Knows nothing of weaves.
namespace altiplano::gateway::graphql {

/// Where something stands in the query; both count from 1, columns in characters.
struct Place {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
    friend bool operator==(const Place&, const Place&) = default;
};

/// What is wrong with a query or with a field of its answer, as GraphQL says it (7.1.2).
struct Problem {
    std::string_view code;  ///< one of gateway's errors.hpp, or what a resolver's Error had
    std::string message;
    std::vector<Place> places{};
    std::string hint{};
    std::vector<std::variant<std::string, std::size_t>> path{};  ///< of the answer; empty: the query as a whole
};

/// `return refuse(errors::syntax, "...", place);`
[[nodiscard]] inline std::unexpected<Problem> refuse(
    std::string_view code, std::string message, Place place, std::string hint = {})
{
    return std::unexpected<Problem>(
        Problem{.code = code, .message = std::move(message), .places = {place}, .hint = std::move(hint)});
}

template <class T> using Checked = std::expected<T, Problem>;

/// What one request may cost; everything in it is hostile.
struct Limits {
    std::size_t query_bytes = std::size_t{256} << 10;
    std::size_t tokens = 20'000;
    std::size_t definitions = 200;  ///< operations and fragments
    std::size_t depth = 20;  ///< of selections in one another, fragments resolved; graphql-js's introspection has 13
    std::size_t value_depth = 16;  ///< of lists and objects in arguments, and of list types
    std::size_t planned_fields = 5'000;  ///< fields of the query, fragments resolved
    std::size_t values = 500'000;  ///< values of the answer
    std::size_t answer_bytes = std::size_t{32} << 20;
    std::size_t problems = 20;  ///< reported at once
};

}  // namespace altiplano::gateway::graphql
