#pragma once

#include "gateway/graphql/document.hpp"

namespace altiplano::gateway::graphql {

/// Reads a query: operations and fragments, no type definitions. @return gateway.syntax, gateway.over_limit
Checked<Document> parse(std::string_view text, const Limits& limits);

/// Reads a type alone, as the schema's tables write it: `[TagFilter!]`. @return gateway.syntax
Checked<TypeRef> parse_type(std::string_view text);
/// Reads a value alone that has no variables: a default of the schema's tables. @return gateway.syntax
Checked<Literal> parse_literal(std::string_view text);

}  // namespace altiplano::gateway::graphql
