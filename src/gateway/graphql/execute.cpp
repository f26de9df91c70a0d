#include "gateway/graphql/execute.hpp"

#include "base/result.hpp"
#include "gateway/errors.hpp"

#include <fmt/format.h>

namespace altiplano::gateway::graphql {

namespace {

/// Writes the answer while it is found. What turns out null is taken back from the text.
class Execution {
public:
    Execution(const Limits& limits, JsonWriter& json, std::vector<Problem>& problems)
        : limits_(limits)
        , json_(json)
        , problems_(problems)
    {
    }
    /// @return false: a field that must not be null is; the object must then be null itself
    Checked<bool> object(const std::vector<PlannedField>& fields, const Object& object);

private:
    Checked<bool> value(const PlannedField& field, const TypeRef& type, const Value& value);
    Checked<bool> list(const PlannedField& field, const TypeRef& type, const Value::List& list);
    bool leaf(const PlannedField& field, const Value& value);
    /// A problem at the field that is being answered. @return false when null must go further up
    bool null_for(
        const PlannedField& field, const TypeRef& type, std::string_view code, std::string message, std::string hint = {});
    bool write_null(const TypeRef& type)
    {
        if (!type.non_null)
            json_.null();
        return !type.non_null;
    }

    const Limits& limits_;
    JsonWriter& json_;
    std::vector<Problem>& problems_;
    std::vector<std::variant<std::string, std::size_t>> path_;
    std::size_t values_ = 0;
};

bool Execution::null_for(
    const PlannedField& field, const TypeRef& type, std::string_view code, std::string message, std::string hint)
{
    if (problems_.size() < limits_.problems)
        problems_.push_back(
            {.code = code, .message = std::move(message), .places = {field.place}, .hint = std::move(hint), .path = path_});
    return write_null(type);
}

Checked<bool> Execution::object(const std::vector<PlannedField>& fields, const Object& object)
{
    json_.begin_object();
    for (const auto& field : fields) {
        json_.key(field.key);
        path_.emplace_back(std::string(field.key));
        Result<Value> found = field.field->name == "__typename" ? Result<Value>(std::string(field.parent->name))
                                                                : object.field(field.field->name, field.arguments);
        bool good = false;
        if (found) {
            TRY(good, value(field, *field.ref, *found));
        } else {
            good = null_for(field, *field.ref, found.error().code, found.error().sentence, found.error().hint);
        }
        path_.pop_back();
        if (!good)
            return false;
    }
    json_.end_object();
    return true;
}

Checked<bool> Execution::value(const PlannedField& field, const TypeRef& type, const Value& value)
{
    if (++values_ > limits_.values || json_.text().size() > limits_.answer_bytes)
        return refuse(errors::over_limit,
            fmt::format("the answer has more than {} values or {} bytes", limits_.values, limits_.answer_bytes), field.place,
            "ask for fewer fields or smaller pages");
    if (std::holds_alternative<std::nullptr_t>(value.value)) {
        if (type.non_null)
            return null_for(field, type, errors::bad_answer,
                fmt::format("Cannot return null for non-nullable field {}.{}.", field.parent->name, field.field->name));
        return write_null(type);
    }
    const auto mark = json_.mark();
    if (type.is_list()) {
        const auto* elements = std::get_if<Value::List>(&value.value);
        ENSURE(elements, "resolvers give lists where the schema has them");
        TRY(const auto good, list(field, type, *elements));
        if (good)
            return true;
    } else if (const auto* inner = std::get_if<std::shared_ptr<const Object>>(&value.value)) {
        ENSURE(*inner && field.type->kind == Kind::object, "resolvers give objects where the schema has them");
        TRY(const auto good, object(field.fields, **inner));
        if (good)
            return true;
    } else if (leaf(field, value)) {
        return true;
    } else {
        return null_for(field, type, errors::bad_answer,
            fmt::format("{}.{} has a value that \"{}\" cannot hold.", field.parent->name, field.field->name, field.field->type));
    }
    json_.back_to(mark);
    return write_null(type);
}

Checked<bool> Execution::list(const PlannedField& field, const TypeRef& type, const Value::List& list)
{
    json_.begin_array();
    for (std::size_t i = 0; i < list.size(); ++i) {
        path_.emplace_back(i);
        TRY(const auto good, value(field, *type.of, list[i]));
        path_.pop_back();
        if (!good)
            return false;
    }
    json_.end_array();
    return true;
}

bool Execution::leaf(const PlannedField& field, const Value& value)
{
    if (const auto* text = std::get_if<std::string>(&value.value)) {
        json_.string(*text);
        return true;
    }
    if (const auto* number = std::get_if<std::int64_t>(&value.value)) {
        if (field.type->name == "Int" && (*number < INT32_MIN || *number > INT32_MAX))
            return false;
        json_.number(*number);
        return true;
    }
    json_.boolean(std::get<bool>(value.value));
    return true;
}

}  // namespace

Checked<void> execute(const std::vector<PlannedField>& fields, const Object& root, const Limits& limits, JsonWriter& json,
    std::vector<Problem>& problems)
{
    const auto mark = json.mark();
    TRY(const auto good, Execution(limits, json, problems).object(fields, root));
    if (!good) {
        json.back_to(mark);
        json.null();
    }
    return {};
}

}  // namespace altiplano::gateway::graphql
