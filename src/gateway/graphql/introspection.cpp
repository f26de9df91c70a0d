#include "gateway/graphql/introspection.hpp"

namespace altiplano::gateway::graphql {

namespace {

Value text(std::string_view value)
{
    return Value(std::string(value));
}
Value text_or_null(std::string_view value)
{
    return value.empty() ? Value{} : text(value);
}

class EnumValueObject final : public Object {
public:
    explicit EnumValueObject(const EnumDef& def)
        : def_(def)
    {
    }
    Result<Value> field(std::string_view field, const Inputs&) const override
    {
        if (field == "name")
            return text(def_.name);
        if (field == "description")
            return text_or_null(def_.description);
        if (field == "isDeprecated")
            return Value(false);
        return Value{};
    }

private:
    const EnumDef& def_;
};

/// `__Type`: a type of the table, or a list or non-null of one.
class TypeObject final : public Object {
public:
    TypeObject(const Schema& schema, TypeRef ref)
        : schema_(schema)
        , ref_(std::move(ref))
    {
    }
    Result<Value> field(std::string_view field, const Inputs& arguments) const override;

private:
    Result<Value> named(const TypeDef& def, std::string_view field, const Inputs& arguments) const;

    const Schema& schema_;
    TypeRef ref_;
};

Value type_value(const Schema& schema, TypeRef ref)
{
    return Value(std::shared_ptr<const Object>(std::make_shared<TypeObject>(schema, std::move(ref))));
}

bool wants_deprecated(const Inputs& arguments)
{
    const auto found = arguments.find("includeDeprecated");
    const auto* wants = found == arguments.end() ? nullptr : std::get_if<bool>(&found->second.value);
    return wants && *wants;
}

class InputObject final : public Object {
public:
    InputObject(const Schema& schema, const InputDef& def)
        : schema_(schema)
        , def_(def)
    {
    }
    Result<Value> field(std::string_view field, const Inputs&) const override
    {
        if (field == "name")
            return text(def_.name);
        if (field == "description")
            return text_or_null(def_.description);
        if (field == "type")
            return type_value(schema_, schema_.ref(def_.type));
        if (field == "defaultValue")
            return text_or_null(def_.default_value);
        if (field == "isDeprecated")
            return Value(!def_.deprecated.empty());
        return text_or_null(def_.deprecated);
    }

private:
    const Schema& schema_;
    const InputDef& def_;
};

Value inputs_value(const Schema& schema, const std::vector<InputDef>& defs, const Inputs& arguments)
{
    Value::List list;
    for (const auto& def : defs)
        if (def.deprecated.empty() || wants_deprecated(arguments))
            list.emplace_back(std::shared_ptr<const Object>(std::make_shared<InputObject>(schema, def)));
    return Value(std::move(list));
}

class FieldObject final : public Object {
public:
    FieldObject(const Schema& schema, const FieldDef& def)
        : schema_(schema)
        , def_(def)
    {
    }
    Result<Value> field(std::string_view field, const Inputs& arguments) const override
    {
        if (field == "name")
            return text(def_.name);
        if (field == "description")
            return text_or_null(def_.description);
        if (field == "args")
            return inputs_value(schema_, def_.arguments, arguments);
        if (field == "type")
            return type_value(schema_, schema_.ref(def_.type));
        if (field == "isDeprecated")
            return Value(!def_.deprecated.empty());
        return text_or_null(def_.deprecated);
    }

private:
    const Schema& schema_;
    const FieldDef& def_;
};

class DirectiveObject final : public Object {
public:
    DirectiveObject(const Schema& schema, const DirectiveDef& def)
        : schema_(schema)
        , def_(def)
    {
    }
    Result<Value> field(std::string_view field, const Inputs& arguments) const override
    {
        if (field == "name")
            return text(def_.name);
        if (field == "description")
            return text_or_null(def_.description);
        if (field == "isRepeatable")
            return Value(false);
        if (field == "args")
            return inputs_value(schema_, def_.arguments, arguments);
        Value::List locations;
        for (const auto location : def_.locations)
            locations.push_back(text(location));
        return Value(std::move(locations));
    }

private:
    const Schema& schema_;
    const DirectiveDef& def_;
};

Result<Value> TypeObject::field(std::string_view field, const Inputs& arguments) const
{
    if (!ref_.non_null && !ref_.is_list())
        return named(*schema_.type(ref_.name), field, arguments);
    if (field == "kind")
        return text(ref_.non_null ? "NON_NULL" : "LIST");
    if (field == "ofType") {
        auto inner = ref_;
        if (ref_.non_null)
            inner.non_null = false;
        else
            inner = *ref_.of;
        return type_value(schema_, std::move(inner));
    }
    return Value{};
}

Result<Value> TypeObject::named(const TypeDef& def, std::string_view field, const Inputs& arguments) const
{
    if (field == "kind")
        switch (def.kind) {
        case Kind::scalar: return text("SCALAR");
        case Kind::object: return text("OBJECT");
        case Kind::enumeration: return text("ENUM");
        case Kind::input: return text("INPUT_OBJECT");
        }
    if (field == "name")
        return text(def.name);
    if (field == "description")
        return text_or_null(def.description);
    if (field == "fields" && def.kind == Kind::object) {
        Value::List list;
        for (const auto& one : def.fields)
            if (one.deprecated.empty() || wants_deprecated(arguments))
                list.emplace_back(std::shared_ptr<const Object>(std::make_shared<FieldObject>(schema_, one)));
        return Value(std::move(list));
    }
    if (field == "interfaces" && def.kind == Kind::object)
        return Value(Value::List{});
    if (field == "inputFields" && def.kind == Kind::input)
        return inputs_value(schema_, def.inputs, arguments);
    if (field == "enumValues" && def.kind == Kind::enumeration) {
        Value::List list;
        for (const auto& one : def.values)
            list.emplace_back(std::shared_ptr<const Object>(std::make_shared<EnumValueObject>(one)));
        return Value(std::move(list));
    }
    return Value{};
}

class SchemaObject final : public Object {
public:
    explicit SchemaObject(const Schema& schema)
        : schema_(schema)
    {
    }
    Result<Value> field(std::string_view field, const Inputs&) const override
    {
        if (field == "types") {
            Value::List list;
            for (const auto& type : schema_.types())
                list.push_back(type_value(schema_, {.name = std::string(type.name)}));
            return Value(std::move(list));
        }
        if (field == "queryType")
            return type_value(schema_, {.name = std::string(schema_.query().name)});
        if (field == "directives") {
            Value::List list;
            for (const auto& directive : schema_.directives())
                list.emplace_back(std::shared_ptr<const Object>(std::make_shared<DirectiveObject>(schema_, directive)));
            return Value(std::move(list));
        }
        return Value{};  // No mutations, no subscriptions, no description.
    }

private:
    const Schema& schema_;
};

constexpr InputDef with_deprecated{.name = "includeDeprecated", .type = "Boolean", .default_value = "false"};

}  // namespace

std::vector<TypeDef> introspection_types()
{
    return {
        {.kind = Kind::object,
            .name = "__Schema",
            .description = "What this service can be asked.",
            .fields = {{"description", "String"}, {"types", "[__Type!]!"}, {"queryType", "__Type!"}, {"mutationType", "__Type"},
                {"subscriptionType", "__Type"}, {"directives", "[__Directive!]!"}}},
        {.kind = Kind::object,
            .name = "__Type",
            .description = "A type, or a list or a non-null of one.",
            .fields = {{"kind", "__TypeKind!"}, {"name", "String"}, {"description", "String"}, {"specifiedByURL", "String"},
                {"fields", "[__Field!]", {}, {with_deprecated}}, {"interfaces", "[__Type!]"}, {"possibleTypes", "[__Type!]"},
                {"enumValues", "[__EnumValue!]", {}, {with_deprecated}},
                {"inputFields", "[__InputValue!]", {}, {with_deprecated}}, {"ofType", "__Type"}}},
        {.kind = Kind::enumeration,
            .name = "__TypeKind",
            .description = "What sort of type a type is.",
            .values = {{"SCALAR"}, {"OBJECT"}, {"INTERFACE"}, {"UNION"}, {"ENUM"}, {"INPUT_OBJECT"}, {"LIST"}, {"NON_NULL"}}},
        {.kind = Kind::object,
            .name = "__Field",
            .description = "A field of an object.",
            .fields = {{"name", "String!"}, {"description", "String"}, {"args", "[__InputValue!]!", {}, {with_deprecated}},
                {"type", "__Type!"}, {"isDeprecated", "Boolean!"}, {"deprecationReason", "String"}}},
        {.kind = Kind::object,
            .name = "__InputValue",
            .description = "An argument, or a field of an input object.",
            .fields = {{"name", "String!"}, {"description", "String"}, {"type", "__Type!"}, {"defaultValue", "String"},
                {"isDeprecated", "Boolean!"}, {"deprecationReason", "String"}}},
        {.kind = Kind::object,
            .name = "__EnumValue",
            .description = "A value of an enumeration.",
            .fields = {{"name", "String!"}, {"description", "String"}, {"isDeprecated", "Boolean!"},
                {"deprecationReason", "String"}}},
        {.kind = Kind::object,
            .name = "__Directive",
            .description = "Something that changes how a part of a query is answered.",
            .fields = {{"name", "String!"}, {"description", "String"}, {"isRepeatable", "Boolean!"},
                {"locations", "[__DirectiveLocation!]!"}, {"args", "[__InputValue!]!", {}, {with_deprecated}}}},
        {.kind = Kind::enumeration,
            .name = "__DirectiveLocation",
            .description = "Where a directive may stand.",
            .values = {{"QUERY"}, {"MUTATION"}, {"SUBSCRIPTION"}, {"FIELD"}, {"FRAGMENT_DEFINITION"}, {"FRAGMENT_SPREAD"},
                {"INLINE_FRAGMENT"}, {"VARIABLE_DEFINITION"}, {"SCHEMA"}, {"SCALAR"}, {"OBJECT"}, {"FIELD_DEFINITION"},
                {"ARGUMENT_DEFINITION"}, {"INTERFACE"}, {"UNION"}, {"ENUM"}, {"ENUM_VALUE"}, {"INPUT_OBJECT"},
                {"INPUT_FIELD_DEFINITION"}}},
    };
}

Result<Value> IntrospectiveRoot::field(std::string_view field, const Inputs& arguments) const
{
    if (field == "__schema")
        return Value(std::shared_ptr<const Object>(std::make_shared<SchemaObject>(schema_)));
    if (field == "__type") {
        const auto& name = std::get<std::string>(arguments.find("name")->second.value);
        return schema_.type(name) ? type_value(schema_, {.name = name}) : Value{};
    }
    return root_.field(field, arguments);
}

}  // namespace altiplano::gateway::graphql
