#pragma once

#include "gateway/graphql/values.hpp"

namespace altiplano::gateway::graphql {

/// A field that will be answered: fragments and directives are resolved, arguments are values, fields of one key are one.
struct PlannedField {
    std::string_view key;
    const FieldDef* field;
    const TypeDef* parent;  ///< the type that it is a field of
    const TypeDef* type;  ///< its innermost type
    const TypeRef* ref;  ///< its whole type
    Inputs arguments;
    Place place;
    std::vector<PlannedField> fields{};
};

/// What an operation asks for once its variables are known. Since every type of the schema is a concrete one, this does not
/// depend on what is found. Borrows from document and schema.
/// @param document  validated
/// @return gateway.bad_query when two different fields share a key; gateway.bad_variable; gateway.over_limit
Checked<std::vector<PlannedField>> plan(
    const Schema& schema, const Document& document, const Operation& operation, const Inputs& variables, const Limits& limits);

}  // namespace altiplano::gateway::graphql
