#include "gateway/graphql/schema.hpp"

#include "base/result.hpp"
#include "gateway/graphql/introspection.hpp"
#include "gateway/graphql/parser.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::gateway::graphql {

namespace {

std::vector<TypeDef> scalars()
{
    return {
        {.kind = Kind::scalar, .name = "String", .description = "Text, UTF-8."},
        {.kind = Kind::scalar, .name = "Int", .description = "A whole number of 32 bits."},
        {.kind = Kind::scalar, .name = "Boolean", .description = "true or false."},
        {.kind = Kind::scalar, .name = "ID", .description = "A name of something; a whole number is taken as its digits."},
    };
}

std::vector<DirectiveDef> own_directives()
{
    return {
        {.name = "include",
            .description = "Asks for this part only when `if` is true.",
            .locations = {"FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"},
            .arguments = {{.name = "if", .type = "Boolean!", .description = "Whether it is included."}}},
        {.name = "skip",
            .description = "Leaves this part out when `if` is true.",
            .locations = {"FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"},
            .arguments = {{.name = "if", .type = "Boolean!", .description = "Whether it is left out."}}},
        {.name = "deprecated",
            .description = "Marks a part of the schema that should not be used any more.",
            .locations = {"FIELD_DEFINITION", "ARGUMENT_DEFINITION", "INPUT_FIELD_DEFINITION", "ENUM_VALUE"},
            .arguments = {{.name = "reason", .type = "String", .default_value = "\"No longer supported\""}}},
    };
}

std::size_t distance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const auto above = row[j];
            const auto same =
                std::tolower(static_cast<unsigned char>(a[i - 1])) == std::tolower(static_cast<unsigned char>(b[j - 1]));
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& known)
{
    std::string_view nearest;
    std::size_t best = name.size() / 3 + 2;
    if (name.size() <= 100)
        for (const auto one : known)
            if (const auto far = distance(name, one); far < best) {
                best = far;
                nearest = one;
            }
    return nearest.empty() ? std::string() : fmt::format("did you mean \"{}\"?", nearest);
}

Schema::Schema(std::vector<TypeDef> types, std::string_view query)
    : types_(std::move(types))
    , directives_(own_directives())
    , query_(query)
    , meta_fields_{
          {.name = "__typename", .type = "String!"},
          {.name = "__schema", .type = "__Schema!"},
          {.name = "__type", .type = "__Type", .arguments = {{.name = "name", .type = "String!"}}},
      }
{
    for (auto more : {scalars(), introspection_types()})
        types_.insert(types_.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    for (std::size_t i = 0; i < types_.size(); ++i)
        ENSURE(by_name_.emplace(types_[i].name, i).second, "each type stands in the table once");
    const auto understand = [&](std::string_view text) {
        auto parsed = parse_type(text);
        ENSURE(parsed && type(parsed->innermost()), "the table's types are types of the table");
        refs_.emplace(text, *std::move(parsed));
    };
    const auto understand_inputs = [&](const std::vector<InputDef>& inputs) {
        for (const auto& input : inputs) {
            understand(input.type);
            learn(input);
        }
    };
    const auto understand_fields = [&](const std::vector<FieldDef>& fields) {
        for (const auto& field : fields) {
            understand(field.type);
            understand_inputs(field.arguments);
        }
    };
    for (const auto& one : types_) {
        understand_inputs(one.inputs);
        understand_fields(one.fields);
    }
    understand_fields(meta_fields_);
    for (const auto& directive : directives_)
        understand_inputs(directive.arguments);
}

void Schema::learn(const InputDef& input)
{
    if (input.default_value.empty())
        return;
    auto parsed = parse_literal(input.default_value);
    ENSURE(parsed, "the table's defaults are values");
    defaults_.emplace(input.default_value, *std::move(parsed));
}

const TypeDef* Schema::type(std::string_view name) const
{
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &types_[found->second];
}

const DirectiveDef* Schema::directive(std::string_view name) const
{
    const auto found = std::ranges::find(directives_, name, &DirectiveDef::name);
    return found == directives_.end() ? nullptr : &*found;
}

const FieldDef* Schema::field(const TypeDef& type, std::string_view name) const
{
    if (type.kind != Kind::object)
        return nullptr;
    const auto named = [&](const std::vector<FieldDef>& fields) -> const FieldDef* {
        const auto found = std::ranges::find(fields, name, &FieldDef::name);
        return found == fields.end() ? nullptr : &*found;
    };
    if (name == "__typename" || (name.starts_with("__") && type.name == query_))
        return named(meta_fields_);
    return named(type.fields);
}

const TypeRef& Schema::ref(std::string_view text) const
{
    const auto found = refs_.find(text);
    ENSURE(found != refs_.end(), "the text is one of the table's");
    return found->second;
}

const Literal* Schema::default_of(const InputDef& input) const
{
    const auto found = defaults_.find(input.default_value);
    return input.default_value.empty() || found == defaults_.end() ? nullptr : &found->second;
}

}  // namespace altiplano::gateway::graphql
