#pragma once

#include "gateway/graphql/document.hpp"

#include <map>

/// A schema as a table: what can be asked, of what types.
namespace altiplano::gateway::graphql {

enum class Kind : std::uint8_t { scalar, object, enumeration, input };

/// An argument, or a field of an input object.
struct InputDef {
    std::string_view name;
    std::string_view type;
    std::string_view description{};
    std::string_view default_value{};  ///< as a query would write it; empty: none
    std::string_view deprecated{};  ///< the reason
};
struct FieldDef {
    std::string_view name;
    std::string_view type;
    std::string_view description{};
    std::vector<InputDef> arguments{};
    std::string_view deprecated{};
};
struct EnumDef {
    std::string_view name;
    std::string_view description{};
};
struct TypeDef {
    Kind kind;
    std::string_view name;
    std::string_view description{};
    std::vector<FieldDef> fields{};  ///< of an object
    std::vector<InputDef> inputs{};  ///< of an input object
    std::vector<EnumDef> values{};  ///< of an enumeration
};
struct DirectiveDef {
    std::string_view name;
    std::string_view description;
    std::vector<std::string_view> locations;
    std::vector<InputDef> arguments;
};

/// The table with its types understood. Immutable; texts have static storage. GraphQL's own scalars, directives and the
/// types of introspection are added.
class Schema {
public:
    /// A table that contradicts itself is our own mistake. @param query  the name of the type that queries begin with
    Schema(std::vector<TypeDef> types, std::string_view query);

    const std::vector<TypeDef>& types() const noexcept { return types_; }
    const std::vector<DirectiveDef>& directives() const noexcept { return directives_; }
    const TypeDef& query() const noexcept { return *type(query_); }
    const TypeDef* type(std::string_view name) const;
    const DirectiveDef* directive(std::string_view name) const;
    /// A field of an object, `__typename` too, and `__schema` and `__type` of the query's type.
    const FieldDef* field(const TypeDef& type, std::string_view name) const;
    /// A type's text, understood. @param text  one of the table's own
    const TypeRef& ref(std::string_view text) const;
    /// An argument's default, understood; null when it has none.
    const Literal* default_of(const InputDef& input) const;

private:
    void learn(const InputDef& input);

    std::vector<TypeDef> types_;
    std::vector<DirectiveDef> directives_;
    std::string_view query_;
    std::vector<FieldDef> meta_fields_;
    std::map<std::string_view, std::size_t> by_name_;
    std::map<std::string_view, TypeRef> refs_;
    std::map<std::string_view, Literal> defaults_;  ///< by their text
};

/// The names among `known` that look like `name`, as a hint: "did you mean ...?"; empty when none does.
std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace altiplano::gateway::graphql
