#pragma once

#include "gateway/graphql/problem.hpp"

namespace altiplano::gateway::graphql {

struct Token {
    enum class Kind : std::uint8_t { end, punctuator, name, integer, real, string };
    Kind kind = Kind::end;
    std::string text{};  ///< of a string its value, escapes resolved
    Place place{};

    bool is(std::string_view punctuator) const { return kind == Kind::punctuator && text == punctuator; }
    bool is_name(std::string_view name) const { return kind == Kind::name && text == name; }
};

/// How a token is named in a message: `"{"`, `Name "first"`, `<EOF>`.
std::string description(const Token& token);

/// Takes a query apart, one token at a time (specification 2.1).
class Lexer {
public:
    /// @param text  borrowed
    Lexer(std::string_view text, const Limits& limits)
        : text_(text)
        , limits_(limits)
    {
    }
    /// The next token; at the end `end`, again and again. @return gateway.syntax, gateway.over_limit
    Checked<Token> next();

private:
    bool at_end() const noexcept { return at_ >= text_.size(); }
    char look(std::size_t ahead = 0) const noexcept { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
    void step();  ///< over one byte
    void skip_ignored();
    Checked<Token> number(Token token);
    Checked<Token> string(Token token);
    Checked<Token> block_string(Token token);
    Checked<void> escape(std::string& into);
    Checked<std::uint32_t> hex_digits(std::size_t count, Place begin);

    std::string_view text_;
    const Limits& limits_;
    std::size_t at_ = 0;
    Place place_;
    std::size_t tokens_ = 0;
};

}  // namespace altiplano::gateway::graphql
