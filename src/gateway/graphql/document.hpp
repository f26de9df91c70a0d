#pragma once

#include "gateway/graphql/problem.hpp"

#include <memory>
#include <optional>

/// A query as written: what the parser makes and the validator checks.
namespace altiplano::gateway::graphql {

/// `Name`, `[Of]`, each with or without `!`.
struct TypeRef {
    std::string name{};  ///< empty: a list
    std::shared_ptr<const TypeRef> of{};  ///< the elements of a list
    bool non_null = false;
    Place place{};

    bool is_list() const noexcept { return of != nullptr; }
    const std::string& innermost() const { return of ? of->innermost() : name; }
    Place innermost_place() const { return of ? of->innermost_place() : place; }
    std::string text() const { return (of ? "[" + of->text() + "]" : name) + (non_null ? "!" : ""); }
};

struct Member;
struct Literal {
    enum class Kind : std::uint8_t { null, boolean, integer, real, string, enumeration, variable, list, object };
    Kind kind = Kind::null;
    Place place{};
    std::string text{};  ///< as written; of a string its value, of a variable its name
    std::vector<Literal> elements{};
    std::vector<Member> members;  // no initialiser: Member is not known yet, and clang would want it to be
};
struct Member {
    std::string name;
    Place place;
    Literal value;
};

struct Directive {
    std::string name;
    Place place{};
    std::vector<Member> arguments{};
};

struct Selection {
    enum class Kind : std::uint8_t { field, spread, inline_fragment };
    Kind kind = Kind::field;
    Place place{};
    std::string name{};  ///< of the field, or of the fragment that is spread
    Place name_place{};
    std::string alias{};  ///< the field's key in the answer: its name, unless it says another
    std::optional<std::string> type{};  ///< of an inline fragment
    Place type_place{};
    std::vector<Member> arguments{};
    std::vector<Directive> directives{};
    std::vector<Selection> selections{};
    Place selections_place{};
};

struct Variable {
    std::string name;
    Place place{};
    TypeRef type{};
    std::optional<Literal> default_value{};
    std::vector<Directive> directives{};
};

struct Operation {
    enum class Kind : std::uint8_t { query, mutation, subscription };
    Kind kind = Kind::query;
    std::string name{};  ///< may be empty
    Place name_place{};
    Place place{};
    std::vector<Variable> variables{};
    std::vector<Directive> directives{};
    std::vector<Selection> selections{};
};

struct Fragment {
    std::string name;
    Place name_place{};
    Place place{};
    std::string type{};
    Place type_place{};
    std::vector<Directive> directives{};
    std::vector<Selection> selections{};
};

struct Document {
    std::vector<Operation> operations{};
    std::vector<Fragment> fragments{};

    const Fragment* fragment(std::string_view name) const
    {
        for (const auto& one : fragments)
            if (one.name == name)
                return &one;
        return nullptr;
    }
};

}  // namespace altiplano::gateway::graphql
