#include "gateway/graphql/plan.hpp"

#include "base/result.hpp"
#include "gateway/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace altiplano::gateway::graphql {

namespace {

/// The fields that share a key, in the order of the keys' first appearance.
using Grouped = std::vector<std::pair<std::string_view, std::vector<const Selection*>>>;

class Planner {
public:
    Planner(const Schema& schema, const Document& document, const Inputs& variables, const Limits& limits)
        : schema_(schema)
        , document_(document)
        , variables_(variables)
        , limits_(limits)
    {
    }
    using Sets = std::vector<const std::vector<Selection>*>;
    /// The fields that these sets of selections together ask of an object.
    Checked<std::vector<PlannedField>> fields(const TypeDef& type, const Sets& sets, std::size_t depth);

private:
    Checked<bool> wanted(const Selection& selection) const;
    Checked<void> collect(const std::vector<Selection>& selections, Grouped& into, std::set<std::string_view>& spread);

    const Schema& schema_;
    const Document& document_;
    const Inputs& variables_;
    const Limits& limits_;
    std::size_t planned_ = 0;
    std::size_t looked_at_ = 0;
};

Checked<bool> Planner::wanted(const Selection& selection) const
{
    for (const auto& directive : selection.directives) {
        TRY(const auto arguments,
            coerce_arguments(
                schema_, schema_.directive(directive.name)->arguments, directive.arguments, variables_, directive.place));
        const auto condition = std::get<bool>(arguments.find("if")->second.value);
        if (condition == (directive.name == "skip"))
            return false;
    }
    return true;
}

Checked<void> Planner::collect(const std::vector<Selection>& selections, Grouped& into, std::set<std::string_view>& spread)
{
    for (const auto& one : selections) {
        if (++looked_at_ > limits_.planned_fields * 20)
            return refuse(errors::over_limit, "the query's fragments unfold to too many fields", one.place);
        TRY(const auto is_wanted, wanted(one));
        if (!is_wanted)
            continue;
        if (one.kind == Selection::Kind::field) {
            auto group = std::ranges::find(into, one.alias, [](const auto& have) { return have.first; });
            if (into.size() >= limits_.planned_fields)
                return refuse(
                    errors::over_limit, fmt::format("the query asks for more than {} fields", limits_.planned_fields), one.place);
            if (group == into.end())
                group = into.insert(into.end(), {one.alias, {}});
            group->second.push_back(&one);
        } else if (one.kind == Selection::Kind::inline_fragment) {
            TRY_OK(collect(one.selections, into, spread));
        } else if (spread.insert(one.name).second) {
            TRY_OK(collect(document_.fragment(one.name)->selections, into, spread));
        }
    }
    return {};
}

Checked<std::vector<PlannedField>> Planner::fields(const TypeDef& type, const Sets& sets, std::size_t depth)
{
    Grouped groups;
    std::set<std::string_view> spread;
    for (const auto* set : sets)
        TRY_OK(collect(*set, groups, spread));

    std::vector<PlannedField> planned;
    for (const auto& [key, group] : groups) {
        const auto& first = *group.front();
        if (depth > limits_.depth)
            return refuse(
                errors::over_limit, fmt::format("the query is nested more than {} levels deep", limits_.depth), first.place);
        if (++planned_ > limits_.planned_fields)
            return refuse(
                errors::over_limit, fmt::format("the query asks for more than {} fields", limits_.planned_fields), first.place);
        const auto* field = schema_.field(type, first.name);
        PlannedField made{.key = key,
            .field = field,
            .parent = &type,
            .type = schema_.type(schema_.ref(field->type).innermost()),
            .ref = &schema_.ref(field->type),
            .arguments = {},
            .place = first.place};
        TRY(made.arguments, coerce_arguments(schema_, field->arguments, first.arguments, variables_, first.place));
        Sets inner;
        for (const auto* one : group) {
            TRY(const auto arguments, coerce_arguments(schema_, field->arguments, one->arguments, variables_, one->place));
            if (one->name != first.name || arguments != made.arguments)
                return std::unexpected(Problem{.code = errors::bad_query,
                    .message = fmt::format("Fields \"{}\" conflict because they have different names or arguments.", key),
                    .places = {first.place, one->place},
                    .hint = "give one of them an alias"});
            if (!one->selections.empty())
                inner.push_back(&one->selections);
        }
        if (made.type->kind == Kind::object) {
            TRY(made.fields, fields(*made.type, inner, depth + 1));
        }
        planned.push_back(std::move(made));
    }
    return planned;
}

}  // namespace

Checked<std::vector<PlannedField>> plan(
    const Schema& schema, const Document& document, const Operation& operation, const Inputs& variables, const Limits& limits)
{
    return Planner(schema, document, variables, limits).fields(schema.query(), {&operation.selections}, 1);
}

}  // namespace altiplano::gateway::graphql
