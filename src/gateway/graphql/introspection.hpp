#pragma once

#include "gateway/graphql/execute.hpp"

/// The schema as something that can itself be asked (specification 4).
namespace altiplano::gateway::graphql {

/// The rows that every schema has besides its own: `__Schema`, `__Type` and what they are made of.
std::vector<TypeDef> introspection_types();

/// The root of a query: `__schema` and `__type` are answered here, all else by `root`. Borrows both.
class IntrospectiveRoot final : public Object {
public:
    IntrospectiveRoot(const Schema& schema, const Object& root)
        : schema_(schema)
        , root_(root)
    {
    }
    Result<Value> field(std::string_view field, const Inputs& arguments) const override;

private:
    const Schema& schema_;
    const Object& root_;
};

}  // namespace altiplano::gateway::graphql
