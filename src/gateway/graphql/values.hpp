#pragma once

#include "base/json.hpp"
#include "gateway/graphql/schema.hpp"

#include <map>

namespace altiplano::gateway::graphql {

/// A value that came in, of the type that its argument or variable has.
struct Input {
    using List = std::vector<Input>;
    using Object = std::vector<std::pair<std::string, Input>>;
    std::variant<std::nullptr_t, bool, std::int64_t, std::string, List, Object> value = nullptr;

    bool is_null() const noexcept { return std::holds_alternative<std::nullptr_t>(value); }
    const Input* member(std::string_view name) const;  ///< of an object; null when it is missing or null
    friend bool operator==(const Input&, const Input&) = default;
};
using Inputs = std::map<std::string, Input, std::less<>>;  ///< arguments or variables; one not given is not there

/// A literal as a value of `type`. Fields of input objects that are missing get their defaults.
/// @param variables  null: a variable is taken for right (the validator has checked its type), its value for null
/// @return gateway.bad_query. Nothing for a variable that was not given
Checked<std::optional<Input>> coerce(const Schema& schema, const TypeRef& type, const Literal& literal, const Inputs* variables);

/// A variable's value from the request's JSON. @param where  it stands, for the message: `$tags`
/// @return gateway.bad_variable
Checked<Input> coerce(const Schema& schema, const TypeRef& type, const JsonView& json, const std::string& where, Place place);

/// All variables of an operation. @param given  the request's `variables`: null or an object
/// @return gateway.bad_variable
Checked<Inputs> coerce_variables(const Schema& schema, const Operation& operation, const std::optional<JsonView>& given);

/// The arguments that a field or directive gets: those given, and the defaults of the others. @return gateway.bad_query
Checked<Inputs> coerce_arguments(const Schema& schema, const std::vector<InputDef>& defs, const std::vector<Member>& given,
    const Inputs& variables, Place place);

}  // namespace altiplano::gateway::graphql
