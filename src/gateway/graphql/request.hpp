#pragma once

#include "gateway/graphql/execute.hpp"

namespace altiplano::gateway::graphql {

/// What a client sends.
struct Request {
    std::string query{};
    std::string variables{};  ///< JSON, an object or null; empty: none
    std::optional<std::string> operation_name{};
};

/// What goes back: `{"data": ..., "errors": [...]}`.
struct Answer {
    std::string json;
    bool refused = false;  ///< nothing was executed: there is no `data`
};

/// Parses, validates, plans and executes. The whole way of a query stands here.
/// @param root  what fields of the query's type are asked of
Answer answer(const Schema& schema, const Request& request, const Object& root, const Limits& limits = {});

/// An answer that refuses: for what is wrong before there is a query.
Answer refused(const std::vector<Problem>& problems);

}  // namespace altiplano::gateway::graphql
