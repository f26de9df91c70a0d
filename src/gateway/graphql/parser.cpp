#include "gateway/graphql/parser.hpp"

#include "base/result.hpp"
#include "base/utf8.hpp"
#include "gateway/errors.hpp"
#include "gateway/graphql/lexer.hpp"

#include <fmt/format.h>
#include <utility>

namespace altiplano::gateway::graphql {

namespace {

/// Recursive descent over the grammar of the specification's appendix; one method per rule, one token ahead.
class Parser {
public:
    Parser(std::string_view text, const Limits& limits)
        : limits_(limits)
        , lexer_(text, limits)
    {
    }
    Checked<void> begin() { return advance(); }
    Checked<Document> document();
    Checked<TypeRef> type();
    Checked<Literal> value(bool constant);
    Checked<void> end() { return token_.kind == Token::Kind::end ? Checked<void>{} : unexpected(); }

private:
    Checked<void> advance()
    {
        TRY(token_, lexer_.next());
        return {};
    }
    std::unexpected<Problem> unexpected() const
    {
        return refuse(errors::syntax, fmt::format("Syntax Error: Unexpected {}.", description(token_)), token_.place);
    }
    Checked<void> expect(std::string_view punctuator)
    {
        if (!token_.is(punctuator))
            return refuse(errors::syntax,
                fmt::format("Syntax Error: Expected \"{}\", found {}.", punctuator, description(token_)), token_.place);
        return advance();
    }
    /// Whether the punctuator was there, and is behind us now.
    Checked<bool> skip(std::string_view punctuator)
    {
        if (!token_.is(punctuator))
            return false;
        TRY_OK(advance());
        return true;
    }
    Checked<std::string> name()
    {
        if (token_.kind != Token::Kind::name)
            return refuse(
                errors::syntax, fmt::format("Syntax Error: Expected Name, found {}.", description(token_)), token_.place);
        auto text = std::exchange(token_.text, {});
        TRY_OK(advance());
        return text;
    }

    Checked<void> operation(Document& into);
    Checked<void> fragment(Document& into);
    Checked<std::vector<Variable>> variables();
    Checked<std::vector<Selection>> selections();
    Checked<Selection> selection();
    Checked<Selection> field();
    Checked<std::vector<Member>> arguments(bool constant);
    Checked<std::vector<Directive>> directives(bool constant);

    /// Depth of what is open now, so that no input makes the stack overflow.
    class Deeper {
    public:
        explicit Deeper(std::size_t& depth)
            : depth_(++depth)
        {
        }
        ~Deeper() { --depth_; }
        Deeper(const Deeper&) = delete;
        Deeper& operator=(const Deeper&) = delete;

    private:
        std::size_t& depth_;
    };
    Checked<void> check_depth(std::size_t depth, std::size_t depth_max) const
    {
        if (depth > depth_max)
            return refuse(
                errors::over_limit, fmt::format("the query is nested more than {} levels deep", depth_max), token_.place);
        return {};
    }

    const Limits& limits_;
    Lexer lexer_;
    Token token_;
    std::size_t selection_depth_ = 0;
    std::size_t value_depth_ = 0;
};

Checked<Document> Parser::document()
{
    Document made;
    do {
        if (made.operations.size() + made.fragments.size() == limits_.definitions)
            return refuse(errors::over_limit,
                fmt::format("the query has more than {} operations and fragments", limits_.definitions), token_.place);
        if (token_.is_name("fragment"))
            TRY_OK(fragment(made));
        else
            TRY_OK(operation(made));
    } while (token_.kind != Token::Kind::end);
    return made;
}

Checked<void> Parser::operation(Document& into)
{
    Operation made{.place = token_.place};
    if (!token_.is("{")) {
        if (token_.is_name("query"))
            made.kind = Operation::Kind::query;
        else if (token_.is_name("mutation"))
            made.kind = Operation::Kind::mutation;
        else if (token_.is_name("subscription"))
            made.kind = Operation::Kind::subscription;
        else
            return unexpected();
        TRY_OK(advance());
        if (token_.kind == Token::Kind::name) {
            made.name_place = token_.place;
            TRY(made.name, name());
        }
        TRY(made.variables, variables());
        TRY(made.directives, directives(false));
    }
    TRY(made.selections, selections());
    into.operations.push_back(std::move(made));
    return {};
}

Checked<void> Parser::fragment(Document& into)
{
    Fragment made{.name = {}, .name_place = {}, .place = token_.place};
    TRY_OK(advance());
    if (token_.is_name("on"))
        return unexpected();
    made.name_place = token_.place;
    TRY(made.name, name());
    if (!token_.is_name("on"))
        return refuse(errors::syntax, fmt::format("Syntax Error: Expected \"on\", found {}.", description(token_)), token_.place);
    TRY_OK(advance());
    made.type_place = token_.place;
    TRY(made.type, name());
    TRY(made.directives, directives(false));
    TRY(made.selections, selections());
    into.fragments.push_back(std::move(made));
    return {};
}

Checked<std::vector<Variable>> Parser::variables()
{
    std::vector<Variable> made;
    TRY(const auto some, skip("("));
    if (!some)
        return made;
    do {
        Variable variable{.name = {}, .place = token_.place};
        TRY_OK(expect("$"));
        TRY(variable.name, name());
        TRY_OK(expect(":"));
        TRY(variable.type, type());
        TRY(const auto has_default, skip("="));
        if (has_default) {
            TRY(variable.default_value, value(true));
        }
        TRY(variable.directives, directives(true));
        made.push_back(std::move(variable));
    } while (!token_.is(")"));
    TRY_OK(advance());
    return made;
}

Checked<TypeRef> Parser::type()
{
    const Deeper deeper(value_depth_);
    TRY_OK(check_depth(value_depth_, limits_.value_depth));
    TypeRef made{.place = token_.place};
    TRY(const auto list, skip("["));
    if (list) {
        TRY(auto of, type());
        made.of = std::make_shared<const TypeRef>(std::move(of));
        TRY_OK(expect("]"));
    } else {
        TRY(made.name, name());
    }
    TRY(made.non_null, skip("!"));
    return made;
}

Checked<std::vector<Selection>> Parser::selections()
{
    const Deeper deeper(selection_depth_);
    TRY_OK(check_depth(selection_depth_, limits_.depth));
    std::vector<Selection> made;
    TRY_OK(expect("{"));
    do {
        TRY(auto one, selection());
        made.push_back(std::move(one));
    } while (!token_.is("}"));
    TRY_OK(advance());
    return made;
}

Checked<Selection> Parser::selection()
{
    if (!token_.is("..."))
        return field();
    Selection made{.kind = Selection::Kind::inline_fragment, .place = token_.place};
    TRY_OK(advance());
    if (token_.kind == Token::Kind::name && token_.text != "on") {
        made.kind = Selection::Kind::spread;
        made.name_place = token_.place;
        TRY(made.name, name());
        TRY(made.directives, directives(false));
        return made;
    }
    if (token_.is_name("on")) {
        TRY_OK(advance());
        made.type_place = token_.place;
        TRY(made.type, name());
    }
    TRY(made.directives, directives(false));
    TRY(made.selections, selections());
    return made;
}

Checked<Selection> Parser::field()
{
    Selection made{.place = token_.place};
    TRY(made.name, name());
    made.alias = made.name;
    TRY(const auto aliased, skip(":"));
    if (aliased) {
        TRY(made.name, name());
    }
    TRY(made.arguments, arguments(false));
    TRY(made.directives, directives(false));
    if (token_.is("{")) {
        made.selections_place = token_.place;
        TRY(made.selections, selections());
    }
    return made;
}

Checked<std::vector<Member>> Parser::arguments(bool constant)
{
    std::vector<Member> made;
    TRY(const auto some, skip("("));
    if (!some)
        return made;
    do {
        Member one{.name = {}, .place = token_.place, .value = {}};
        TRY(one.name, name());
        TRY_OK(expect(":"));
        TRY(one.value, value(constant));
        made.push_back(std::move(one));
    } while (!token_.is(")"));
    TRY_OK(advance());
    return made;
}

Checked<std::vector<Directive>> Parser::directives(bool constant)
{
    std::vector<Directive> made;
    while (token_.is("@")) {
        Directive one{.name = {}, .place = token_.place};
        TRY_OK(advance());
        TRY(one.name, name());
        TRY(one.arguments, arguments(constant));
        made.push_back(std::move(one));
    }
    return made;
}

Checked<Literal> Parser::value(bool constant)
{
    const Deeper deeper(value_depth_);
    TRY_OK(check_depth(value_depth_, limits_.value_depth));
    using Kind = Literal::Kind;
    Literal made{.place = token_.place, .text = token_.text, .members = {}};
    switch (token_.kind) {
    case Token::Kind::integer: made.kind = Kind::integer; break;
    case Token::Kind::real: made.kind = Kind::real; break;
    case Token::Kind::string: made.kind = Kind::string; break;
    case Token::Kind::name:
        made.kind = made.text == "true" || made.text == "false" ? Kind::boolean
            : made.text == "null"                               ? Kind::null
                                                                : Kind::enumeration;
        break;
    case Token::Kind::end: return unexpected();
    case Token::Kind::punctuator:
        if (made.text == "$") {
            if (constant)
                return refuse(errors::syntax, "Syntax Error: Unexpected variable in a constant value.", token_.place);
            TRY_OK(advance());
            made.kind = Kind::variable;
            TRY(made.text, name());
            return made;
        }
        if (made.text == "[") {
            made.kind = Kind::list;
            TRY_OK(advance());
            while (!token_.is("]")) {
                TRY(auto element, value(constant));
                made.elements.push_back(std::move(element));
            }
            break;
        }
        if (made.text == "{") {
            made.kind = Kind::object;
            TRY_OK(advance());
            while (!token_.is("}")) {
                Member member{.name = {}, .place = token_.place, .value = {}};
                TRY(member.name, name());
                TRY_OK(expect(":"));
                TRY(member.value, value(constant));
                made.members.push_back(std::move(member));
            }
            break;
        }
        return unexpected();
    }
    TRY_OK(advance());
    return made;
}

template <class T> Checked<T> whole(std::string_view text, Checked<T> (*rule)(Parser&))
{
    const Limits limits;
    Parser parser(text, limits);
    TRY_OK(parser.begin());
    TRY(auto made, rule(parser));
    TRY_OK(parser.end());
    return made;
}

}  // namespace

Checked<Document> parse(std::string_view text, const Limits& limits)
{
    if (text.size() > limits.query_bytes)
        return refuse(errors::over_limit,
            fmt::format("the query has {} bytes; at most {} are taken", text.size(), limits.query_bytes), Place{},
            "send values as variables");
    if (!is_utf8(text))
        return refuse(errors::syntax, "Syntax Error: the query is not UTF-8.", Place{});
    Parser parser(text, limits);
    TRY_OK(parser.begin());
    return parser.document();
}

Checked<TypeRef> parse_type(std::string_view text)
{
    return whole<TypeRef>(text, [](Parser& parser) { return parser.type(); });
}

Checked<Literal> parse_literal(std::string_view text)
{
    return whole<Literal>(text, [](Parser& parser) { return parser.value(true); });
}

}  // namespace altiplano::gateway::graphql
