#include "gateway/graphql/validate.hpp"

#include "gateway/errors.hpp"
#include "gateway/graphql/values.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace altiplano::gateway::graphql {

namespace {

std::string named(std::string_view kind, std::string_view name)
{
    return name.empty() ? std::string(kind) : fmt::format("{} \"{}\"", kind, name);
}

/// A variable where it is used, and what is needed there.
struct Usage {
    std::string name;
    Place place;
    TypeRef type;
    bool has_default;  ///< of the argument or input field
};

/// What an operation or a fragment uses, itself.
struct Uses {
    std::vector<Usage> variables{};
    std::vector<const Selection*> spreads{};
};

/// Each operation and fragment is looked at once, whoever spreads it; what they use is put together afterwards. So the
/// cost is that of the text, however often fragments spread one another.
class Validator {
public:
    Validator(const Schema& schema, const Document& document, const Limits& limits)
        : schema_(schema)
        , document_(document)
        , limits_(limits)
    {
    }
    std::vector<Problem> run();

private:
    void complain(std::string message, Place place, std::string hint = {})
    {
        if (problems_.size() < limits_.problems)
            problems_.push_back(
                {.code = errors::bad_query, .message = std::move(message), .places = {place}, .hint = std::move(hint)});
    }
    void check_names();
    void check_fragments();
    void check_cycles();
    void check_variables(const Operation& operation, const Uses& uses);
    void check_usages(const Operation& operation, const Uses& uses);
    void check_selections(const std::vector<Selection>& selections, const TypeDef& type, Uses& uses);
    void check_field(const Selection& field, const TypeDef& type, Uses& uses);
    void check_type_condition(const std::string& name, Place name_place, const TypeDef& parent, Place place);
    void check_arguments(
        const std::vector<Member>& given, const std::vector<InputDef>& defs, const std::string& of, Place place, Uses& uses);
    void check_directives(const std::vector<Directive>& directives, std::string_view location, Uses& uses);
    void check_literal(const Literal& literal, const TypeRef& type, bool has_default, Uses& uses);
    void collect_variables(const Literal& literal, const TypeRef& type, bool has_default, Uses& uses);

    const Schema& schema_;
    const Document& document_;
    const Limits& limits_;
    std::vector<Problem> problems_;
    std::map<std::string_view, Uses> fragments_;
};

std::vector<Problem> Validator::run()
{
    check_names();
    check_fragments();
    check_cycles();
    for (const auto& operation : document_.operations) {
        Uses uses;
        if (operation.kind != Operation::Kind::query) {
            complain(fmt::format("Schema is not configured to execute {} operation.",
                         operation.kind == Operation::Kind::mutation ? "mutation" : "subscription"),
                operation.place, "the weave is written by uploads, not by GraphQL");
            continue;
        }
        check_directives(operation.directives, "QUERY", uses);
        check_selections(operation.selections, schema_.query(), uses);
        check_variables(operation, uses);
    }
    // They are few, and those of one place stay in their order.
    const auto before = [](const Problem& one, const Problem& other) {
        return std::pair(one.places[0].line, one.places[0].column) < std::pair(other.places[0].line, other.places[0].column);
    };
    for (auto one = problems_.begin(); one != problems_.end(); ++one)
        std::rotate(std::upper_bound(problems_.begin(), one, *one, before), one, one + 1);
    return std::move(problems_);
}

void Validator::check_names()
{
    if (document_.operations.empty())
        complain("The query holds no operation.", Place{});
    std::set<std::string_view> seen;
    for (const auto& operation : document_.operations) {
        if (operation.name.empty() && document_.operations.size() > 1)
            complain("This anonymous operation must be the only defined operation.", operation.place);
        else if (!operation.name.empty() && !seen.insert(operation.name).second)
            complain(fmt::format("There can be only one operation named \"{}\".", operation.name), operation.name_place);
    }
    seen.clear();
    for (const auto& fragment : document_.fragments)
        if (!seen.insert(fragment.name).second)
            complain(fmt::format("There can be only one fragment named \"{}\".", fragment.name), fragment.name_place);
}

void Validator::check_fragments()
{
    for (const auto& fragment : document_.fragments) {
        auto& uses = fragments_[fragment.name];
        check_directives(fragment.directives, "FRAGMENT_DEFINITION", uses);
        const auto* type = schema_.type(fragment.type);
        if (!type)
            complain(fmt::format("Unknown type \"{}\".", fragment.type), fragment.type_place);
        else if (type->kind != Kind::object)
            complain(fmt::format("Fragment \"{}\" cannot condition on non composite type \"{}\".", fragment.name, fragment.type),
                fragment.type_place);
        else
            check_selections(fragment.selections, *type, uses);
    }
}

void Validator::check_cycles()
{
    // Depth first; a fragment that is met while it is still open spreads itself. As deep as there are fragments.
    std::set<std::string_view> done;
    std::set<std::string_view> open;
    const auto visit = [&](const auto& self, std::string_view name) -> void {
        open.insert(name);
        for (const auto* spread : fragments_[name].spreads) {
            if (open.contains(spread->name))
                complain(fmt::format("Cannot spread fragment \"{}\" within itself.", spread->name), spread->place);
            else if (!done.contains(spread->name) && document_.fragment(spread->name))
                self(self, spread->name);
        }
        open.erase(name);
        done.insert(name);
    };
    for (const auto& fragment : document_.fragments)
        if (!done.contains(fragment.name))
            visit(visit, fragment.name);

    std::set<std::string_view> used;
    const auto use = [&](const auto& self, const std::vector<Selection>& selections) -> void {
        for (const auto& one : selections) {
            if (one.kind == Selection::Kind::spread && used.insert(one.name).second) {
                if (const auto* fragment = document_.fragment(one.name))
                    self(self, fragment->selections);
            }
            self(self, one.selections);
        }
    };
    for (const auto& operation : document_.operations)
        use(use, operation.selections);
    for (const auto& fragment : document_.fragments)
        if (!used.contains(fragment.name))
            complain(fmt::format("Fragment \"{}\" is never used.", fragment.name), fragment.place);
}

void Validator::check_variables(const Operation& operation, const Uses& uses)
{
    std::set<std::string_view> seen;
    for (const auto& variable : operation.variables) {
        if (!seen.insert(variable.name).second)
            complain(fmt::format("There can be only one variable named \"${}\".", variable.name), variable.place);
        Uses none;
        check_directives(variable.directives, "VARIABLE_DEFINITION", none);
        const auto* type = schema_.type(variable.type.innermost());
        if (!type)
            complain(fmt::format("Unknown type \"{}\".", variable.type.innermost()), variable.type.innermost_place());
        else if (type->kind == Kind::object)
            complain(fmt::format("Variable \"${}\" cannot be non-input type \"{}\".", variable.name, variable.type.text()),
                variable.type.place);
        else if (variable.default_value)
            check_literal(*variable.default_value, variable.type, false, none);
    }

    // All that the operation uses, fragments included, each once.
    Uses all = uses;
    std::set<std::string_view> spread;
    for (std::size_t i = 0; i < all.spreads.size(); ++i) {
        const auto found = fragments_.find(all.spreads[i]->name);
        if (found == fragments_.end() || !spread.insert(found->first).second)
            continue;
        all.variables.insert(all.variables.end(), found->second.variables.begin(), found->second.variables.end());
        all.spreads.insert(all.spreads.end(), found->second.spreads.begin(), found->second.spreads.end());
    }
    check_usages(operation, all);
}

/// Whether a variable of type `has` may stand where `needs` is (specification 5.8.5, AreTypesCompatible).
bool fits(const TypeRef& has, const TypeRef& needs)
{
    if (needs.non_null && !has.non_null)
        return false;
    if (needs.is_list() != has.is_list())
        return false;
    return needs.is_list() ? fits(*has.of, *needs.of) : has.name == needs.name;
}

void Validator::check_usages(const Operation& operation, const Uses& uses)
{
    std::set<std::string_view> used;
    for (const auto& usage : uses.variables) {
        used.insert(usage.name);
        const auto found = std::ranges::find(operation.variables, usage.name, &Variable::name);
        if (found == operation.variables.end()) {
            complain(fmt::format("Variable \"${}\" is not defined by {}.", usage.name, named("operation", operation.name)),
                usage.place);
            continue;
        }
        // A default, of the variable or of the place, lets a nullable variable stand where a value is needed.
        auto needs = usage.type;
        const bool default_value = found->default_value && found->default_value->kind != Literal::Kind::null;
        if (needs.non_null && !found->type.non_null && (default_value || usage.has_default))
            needs.non_null = false;
        if (!fits(found->type, needs))
            complain(fmt::format("Variable \"${}\" of type \"{}\" used in position expecting type \"{}\".", usage.name,
                         found->type.text(), usage.type.text()),
                usage.place);
    }
    for (const auto& variable : operation.variables)
        if (!used.contains(variable.name))
            complain(fmt::format("Variable \"${}\" is never used in {}.", variable.name, named("operation", operation.name)),
                variable.place);
}

void Validator::check_type_condition(const std::string& name, Place name_place, const TypeDef& parent, Place place)
{
    const auto* type = schema_.type(name);
    if (!type)
        complain(fmt::format("Unknown type \"{}\".", name), name_place);
    else if (type->kind != Kind::object)
        complain(fmt::format("Fragment cannot condition on non composite type \"{}\".", name), name_place);
    else if (type != &parent)
        complain(fmt::format("Fragment cannot be spread here as objects of type \"{}\" can never be of type \"{}\".", parent.name,
                     type->name),
            place);
}

void Validator::check_selections(const std::vector<Selection>& selections, const TypeDef& type, Uses& uses)
{
    for (const auto& one : selections) {
        if (problems_.size() >= limits_.problems)
            return;
        switch (one.kind) {
        case Selection::Kind::field: check_field(one, type, uses); break;
        case Selection::Kind::spread: {
            check_directives(one.directives, "FRAGMENT_SPREAD", uses);
            uses.spreads.push_back(&one);
            const auto* fragment = document_.fragment(one.name);
            if (!fragment)
                complain(fmt::format("Unknown fragment \"{}\".", one.name), one.name_place);
            else if (const auto* on = schema_.type(fragment->type); on && on->kind == Kind::object)
                check_type_condition(fragment->type, fragment->type_place, type, one.place);
            break;
        }
        case Selection::Kind::inline_fragment: {
            check_directives(one.directives, "INLINE_FRAGMENT", uses);
            if (one.type)
                check_type_condition(*one.type, one.type_place, type, one.place);
            const auto* on = one.type ? schema_.type(*one.type) : &type;
            if (on && on->kind == Kind::object)
                check_selections(one.selections, *on, uses);
            break;
        }
        }
    }
}

void Validator::check_field(const Selection& field, const TypeDef& type, Uses& uses)
{
    const auto* def = schema_.field(type, field.name);
    if (!def) {
        std::vector<std::string_view> names;
        names.reserve(type.fields.size());
        for (const auto& one : type.fields)
            names.push_back(one.name);
        complain(fmt::format("Cannot query field \"{}\" on type \"{}\".", field.name, type.name), field.place,
            did_you_mean(field.name, names));
        return;
    }
    check_arguments(field.arguments, def->arguments, fmt::format("Field \"{}\"", field.name), field.place, uses);
    check_directives(field.directives, "FIELD", uses);
    const auto* inner = schema_.type(schema_.ref(def->type).innermost());
    if (inner->kind == Kind::object && field.selections.empty())
        complain(fmt::format("Field \"{}\" of type \"{}\" must have a selection of subfields.", field.name, def->type),
            field.place, fmt::format("did you mean \"{} {{ ... }}\"?", field.name));
    else if (inner->kind != Kind::object && !field.selections.empty())
        complain(fmt::format("Field \"{}\" must not have a selection since type \"{}\" has no subfields.", field.name, def->type),
            field.selections_place);
    else if (inner->kind == Kind::object)
        check_selections(field.selections, *inner, uses);
}

void Validator::check_arguments(
    const std::vector<Member>& given, const std::vector<InputDef>& defs, const std::string& of, Place place, Uses& uses)
{
    std::set<std::string_view> seen;
    for (const auto& argument : given) {
        if (!seen.insert(argument.name).second) {
            complain(fmt::format("There can be only one argument named \"{}\".", argument.name), argument.place);
            continue;
        }
        const auto def = std::ranges::find(defs, argument.name, &InputDef::name);
        if (def == defs.end()) {
            std::vector<std::string_view> names;
            names.reserve(defs.size());
            for (const auto& one : defs)
                names.push_back(one.name);
            complain(fmt::format("Unknown argument \"{}\" on {}.", argument.name, of), argument.place,
                did_you_mean(argument.name, names));
            continue;
        }
        check_literal(argument.value, schema_.ref(def->type), !def->default_value.empty(), uses);
    }
    for (const auto& def : defs)
        if (schema_.ref(def.type).non_null && def.default_value.empty() && !seen.contains(def.name))
            complain(
                fmt::format("{} argument \"{}\" of type \"{}\" is required, but it was not provided.", of, def.name, def.type),
                place);
}

void Validator::check_directives(const std::vector<Directive>& directives, std::string_view location, Uses& uses)
{
    std::set<std::string_view> seen;
    for (const auto& directive : directives) {
        const auto* def = schema_.directive(directive.name);
        if (!def) {
            complain(fmt::format("Unknown directive \"@{}\".", directive.name), directive.place);
            continue;
        }
        if (std::ranges::find(def->locations, location) == def->locations.end())
            complain(fmt::format("Directive \"@{}\" may not be used on {}.", directive.name, location), directive.place);
        if (!seen.insert(directive.name).second)
            complain(
                fmt::format("The directive \"@{}\" can only be used once at this location.", directive.name), directive.place);
        check_arguments(
            directive.arguments, def->arguments, fmt::format("Directive \"@{}\"", directive.name), directive.place, uses);
    }
}

void Validator::check_literal(const Literal& literal, const TypeRef& type, bool has_default, Uses& uses)
{
    collect_variables(literal, type, has_default, uses);
    // A variable's own type is checked with its operation; inside a literal it is taken for right here.
    if (literal.kind == Literal::Kind::variable)
        return;
    if (const auto made = coerce(schema_, type, literal, nullptr); !made && problems_.size() < limits_.problems)
        problems_.push_back(made.error());
}

void Validator::collect_variables(const Literal& literal, const TypeRef& type, bool has_default, Uses& uses)
{
    if (literal.kind == Literal::Kind::variable)
        uses.variables.push_back({literal.text, literal.place, type, has_default});
    // One value may stand for a list, so elements of what is no list are not looked at: that is a wrong literal anyway.
    if (type.is_list())
        for (const auto& element : literal.elements)
            collect_variables(element, *type.of, false, uses);
    if (const auto* def = schema_.type(type.innermost()); def && def->kind == Kind::input)
        for (const auto& member : literal.members)
            if (const auto found = std::ranges::find(def->inputs, member.name, &InputDef::name); found != def->inputs.end())
                collect_variables(member.value, schema_.ref(found->type), !found->default_value.empty(), uses);
}

}  // namespace

std::vector<Problem> validate(const Schema& schema, const Document& document, const Limits& limits)
{
    return Validator(schema, document, limits).run();
}

}  // namespace altiplano::gateway::graphql
