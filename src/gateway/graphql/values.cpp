#include "gateway/graphql/values.hpp"

#include "base/result.hpp"
#include "gateway/errors.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace altiplano::gateway::graphql {

namespace {

constexpr std::int64_t int_min = INT32_MIN;
constexpr std::int64_t int_max = INT32_MAX;

/// A literal as a message shows it.
std::string shown(const Literal& literal)
{
    switch (literal.kind) {
    case Literal::Kind::string: return fmt::format("\"{}\"", literal.text.substr(0, 100));
    case Literal::Kind::list: return "a list";
    case Literal::Kind::object: return "an object";
    default: return literal.text.substr(0, 100);
    }
}

std::unexpected<Problem> wrong_literal(const TypeRef& type, const Literal& literal, std::string hint = {})
{
    return refuse(errors::bad_query, fmt::format("Expected value of type \"{}\", found {}.", type.text(), shown(literal)),
        literal.place, std::move(hint));
}

bool is_value(const TypeDef& type, std::string_view name)
{
    return std::ranges::find(type.values, name, &EnumDef::name) != type.values.end();
}
std::string values_hint(const TypeDef& type, std::string_view name)
{
    std::vector<std::string_view> names;
    names.reserve(type.values.size());
    for (const auto& one : type.values)
        names.push_back(one.name);
    auto hint = did_you_mean(name, names);
    return hint.empty() ? fmt::format("it is one of {}", fmt::join(names, ", ")) : hint;
}

/// A scalar or enumeration from a literal; nothing when the literal is none of that type.
std::optional<Input> scalar(const TypeDef& type, const Literal& literal)
{
    using Written = Literal::Kind;
    if (type.kind == Kind::enumeration)
        return literal.kind == Written::enumeration && is_value(type, literal.text) ? std::optional(Input{literal.text})
                                                                                    : std::nullopt;
    if (type.name == "Boolean")
        return literal.kind == Written::boolean ? std::optional(Input{literal.text == "true"}) : std::nullopt;
    if (type.name == "Int") {
        std::int64_t number = 0;
        const auto [end, code] = std::from_chars(literal.text.data(), literal.text.data() + literal.text.size(), number);
        const bool fits = literal.kind == Written::integer && code == std::errc{} && number >= int_min && number <= int_max;
        return fits ? std::optional(Input{number}) : std::nullopt;
    }
    if (literal.kind == Written::string || (type.name == "ID" && literal.kind == Written::integer))
        return Input{literal.text};
    return std::nullopt;
}

/// The same from JSON.
std::optional<Input> scalar(const TypeDef& type, const JsonView& json)
{
    if (type.kind == Kind::enumeration) {
        const auto name = json.string();
        return name && is_value(type, *name) ? std::optional(Input{*name}) : std::nullopt;
    }
    if (type.name == "Boolean")
        return json.boolean() ? std::optional(Input{*json.boolean()}) : std::nullopt;
    if (type.name == "Int" || (type.name == "ID" && json.kind() == JsonView::Kind::number)) {
        const auto number = json.number();
        const bool whole = number && std::trunc(*number) == *number;
        if (type.name == "ID")
            return whole ? std::optional(Input{std::string(json.raw())}) : std::nullopt;
        const bool fits = whole && *number >= static_cast<double>(int_min) && *number <= static_cast<double>(int_max);
        return fits ? std::optional(Input{static_cast<std::int64_t>(*number)}) : std::nullopt;
    }
    auto text = json.string();
    return text ? std::optional(Input{*std::move(text)}) : std::nullopt;
}

std::vector<std::string_view> names_of(const std::vector<InputDef>& defs)
{
    std::vector<std::string_view> names;
    names.reserve(defs.size());
    for (const auto& def : defs)
        names.push_back(def.name);
    return names;
}

/// Defaults of the fields that are missing, and a complaint about one that has none and is needed.
template <class Complain>
Checked<void> complete(const Schema& schema, const std::vector<InputDef>& defs, Input::Object& object, const Complain& complain)
{
    for (const auto& def : defs) {
        if (std::ranges::find(object, def.name, [](const auto& member) { return std::string_view(member.first); })
            != object.end())
            continue;
        const auto& type = schema.ref(def.type);
        if (const auto* literal = schema.default_of(def)) {
            TRY(auto value, coerce(schema, type, *literal, nullptr));
            object.emplace_back(std::string(def.name), *std::move(value));
        } else if (type.non_null) {
            return complain(def);
        }
    }
    return {};
}

Checked<std::optional<Input>> input_object(
    const Schema& schema, const TypeDef& type, const Literal& literal, const Inputs* variables)
{
    Input::Object object;
    for (const auto& member : literal.members) {
        const auto def = std::ranges::find(type.inputs, member.name, &InputDef::name);
        if (def == type.inputs.end())
            return refuse(errors::bad_query, fmt::format("Field \"{}\" is not defined by type \"{}\".", member.name, type.name),
                member.place, did_you_mean(member.name, names_of(type.inputs)));
        for (const auto& [name, value] : object)
            if (name == member.name)
                return refuse(
                    errors::bad_query, fmt::format("There can be only one input field named \"{}\".", name), member.place);
        TRY(auto value, coerce(schema, schema.ref(def->type), member.value, variables));
        if (value)
            object.emplace_back(member.name, *std::move(value));
    }
    TRY_OK(complete(schema, type.inputs, object, [&](const InputDef& def) -> Checked<void> {
        return refuse(errors::bad_query,
            fmt::format("Field \"{}.{}\" of required type \"{}\" was not provided.", type.name, def.name, def.type),
            literal.place);
    }));
    return Input{std::move(object)};
}

Checked<Input> input_object(
    const Schema& schema, const TypeDef& type, const JsonView& json, const std::string& where, Place place)
{
    Input::Object object;
    for (const auto& [name, value] : json.members()) {
        const auto def = std::ranges::find(type.inputs, name, &InputDef::name);
        if (def == type.inputs.end())
            return refuse(errors::bad_variable,
                fmt::format(
                    "Variable \"{}\" got invalid value: field \"{}\" is not defined by type \"{}\".", where, name, type.name),
                place, did_you_mean(name, names_of(type.inputs)));
        TRY(auto made, coerce(schema, schema.ref(def->type), value, fmt::format("{}.{}", where, name), place));
        object.emplace_back(name, std::move(made));
    }
    TRY_OK(complete(schema, type.inputs, object, [&](const InputDef& def) -> Checked<void> {
        return refuse(errors::bad_variable,
            fmt::format("Variable \"{}\" got invalid value: field \"{}\" of required type \"{}\" was not provided.", where,
                def.name, def.type),
            place);
    }));
    return Input{std::move(object)};
}

}  // namespace

const Input* Input::member(std::string_view name) const
{
    if (const auto* object = std::get_if<Object>(&value))
        for (const auto& [have, one] : *object)
            if (have == name)
                return one.is_null() ? nullptr : &one;
    return nullptr;
}

Checked<std::optional<Input>> coerce(const Schema& schema, const TypeRef& type, const Literal& literal, const Inputs* variables)
{
    if (literal.kind == Literal::Kind::variable) {
        if (!variables)
            return Input{};
        const auto found = variables->find(literal.text);
        if (found == variables->end())
            return std::optional<Input>{};
        if (type.non_null && found->second.is_null())
            return refuse(errors::bad_variable,
                fmt::format("Variable \"${}\" is null, where \"{}\" is needed.", literal.text, type.text()), literal.place);
        return found->second;
    }
    if (literal.kind == Literal::Kind::null)
        return type.non_null ? Checked<std::optional<Input>>(wrong_literal(type, literal)) : Input{};
    if (type.is_list()) {
        Input::List list;
        if (literal.kind != Literal::Kind::list) {
            // One value stands for a list of it.
            TRY(auto one, coerce(schema, *type.of, literal, variables));
            if (one)
                list.push_back(*std::move(one));
            return Input{std::move(list)};
        }
        for (const auto& element : literal.elements) {
            TRY(auto one, coerce(schema, *type.of, element, variables));
            if (!one && type.of->non_null)
                return refuse(errors::bad_variable,
                    fmt::format("Variable \"${}\" was not given, where \"{}\" is needed.", element.text, type.of->text()),
                    element.place);
            list.push_back(one ? *std::move(one) : Input{});
        }
        return Input{std::move(list)};
    }
    const auto* def = schema.type(type.name);
    ENSURE(def, "the validator has looked it up");
    if (def->kind == Kind::input) {
        if (literal.kind != Literal::Kind::object)
            return wrong_literal(type, literal);
        return input_object(schema, *def, literal, variables);
    }
    auto made = scalar(*def, literal);
    if (!made)
        return wrong_literal(type, literal,
            def->kind == Kind::enumeration              ? values_hint(*def, literal.text)
                : literal.kind == Literal::Kind::string ? ""
                : def->name == "String"                 ? "texts stand in double quotes"
                                                        : "");
    return made;
}

Checked<Input> coerce(const Schema& schema, const TypeRef& type, const JsonView& json, const std::string& where, Place place)
{
    const auto wrong = [&](std::string hint = {}) {
        const auto raw = json.raw().substr(0, 100);
        return refuse(errors::bad_variable,
            fmt::format("Variable \"{}\" got invalid value {}; expected type \"{}\".", where, raw, type.text()), place,
            std::move(hint));
    };
    if (json.is_null())
        return type.non_null ? Checked<Input>(wrong()) : Input{};
    if (type.is_list()) {
        Input::List list;
        if (json.kind() != JsonView::Kind::array) {
            TRY(auto one, coerce(schema, *type.of, json, where, place));
            list.push_back(std::move(one));
            return Input{std::move(list)};
        }
        std::size_t index = 0;
        for (const auto& element : json.elements()) {
            TRY(auto one, coerce(schema, *type.of, element, fmt::format("{}[{}]", where, index++), place));
            list.push_back(std::move(one));
        }
        return Input{std::move(list)};
    }
    const auto* def = schema.type(type.name);
    ENSURE(def, "the validator has looked it up");
    if (def->kind == Kind::input) {
        if (json.kind() != JsonView::Kind::object)
            return wrong();
        return input_object(schema, *def, json, where, place);
    }
    auto made = scalar(*def, json);
    if (!made)
        return wrong(def->kind == Kind::enumeration ? values_hint(*def, json.string().value_or("")) : "");
    return *std::move(made);
}

Checked<Inputs> coerce_variables(const Schema& schema, const Operation& operation, const std::optional<JsonView>& given)
{
    if (given && !given->is_null() && given->kind() != JsonView::Kind::object)
        return refuse(errors::bad_variable, "\"variables\" is no object.", operation.place);
    Inputs made;
    for (const auto& variable : operation.variables) {
        const auto json = given ? given->find(variable.name) : std::nullopt;
        if (json) {
            TRY(auto value, coerce(schema, variable.type, *json, "$" + variable.name, variable.place));
            made.emplace(variable.name, std::move(value));
        } else if (variable.default_value) {
            TRY(auto value, coerce(schema, variable.type, *variable.default_value, nullptr));
            made.emplace(variable.name, *std::move(value));
        } else if (variable.type.non_null) {
            return refuse(errors::bad_variable,
                fmt::format("Variable \"${}\" of required type \"{}\" was not provided.", variable.name, variable.type.text()),
                variable.place);
        }
    }
    return made;
}

Checked<Inputs> coerce_arguments(const Schema& schema, const std::vector<InputDef>& defs, const std::vector<Member>& given,
    const Inputs& variables, Place place)
{
    Inputs made;
    for (const auto& def : defs) {
        const auto& type = schema.ref(def.type);
        const auto member = std::ranges::find(given, def.name, &Member::name);
        if (member != given.end()) {
            TRY(auto value, coerce(schema, type, member->value, &variables));
            if (value) {
                made.emplace(std::string(def.name), *std::move(value));
                continue;
            }
        }
        if (const auto* literal = schema.default_of(def)) {
            TRY(auto value, coerce(schema, type, *literal, nullptr));
            made.emplace(std::string(def.name), *std::move(value));
        } else if (type.non_null) {
            return refuse(errors::bad_query,
                fmt::format("Argument \"{}\" of required type \"{}\" was not provided.", def.name, def.type), place);
        }
    }
    return made;
}

}  // namespace altiplano::gateway::graphql
