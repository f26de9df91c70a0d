#pragma once

#include "gateway/graphql/plan.hpp"

#include <memory>

namespace altiplano::gateway::graphql {

class Object;
/// What a field's resolver found, before it is written.
struct Value {
    using List = std::vector<Value>;
    using Any = std::variant<std::nullptr_t, bool, std::int64_t, std::string, std::shared_ptr<const Object>, List>;
    Any value = nullptr;

    Value() = default;
    template <class T>
        requires(!std::is_same_v<std::remove_cvref_t<T>, Value> && std::is_constructible_v<Any, T &&>)
    Value(T&& one)
        : value(std::forward<T>(one))
    {
    }
};

/// Something of an object type, as resolvers know it.
class Object {
public:
    virtual ~Object() = default;
    /// A field's value. An error becomes null and a problem at that field.
    /// @param field  one of the type's, without `__typename`
    virtual Result<Value> field(std::string_view field, const Inputs& arguments) const = 0;
};

/// Asks the objects for what is planned, and writes `{"data": ..., "errors": [...]}` without its braces' end: null goes up
/// to the nearest field that may be null (specification 6.4.4).
/// @return gateway.over_limit when the answer grows too large; then nothing of it is of use
Checked<void> execute(const std::vector<PlannedField>& fields, const Object& root, const Limits& limits, JsonWriter& json,
    std::vector<Problem>& problems);

}  // namespace altiplano::gateway::graphql
