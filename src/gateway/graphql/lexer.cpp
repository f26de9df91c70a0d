#include "gateway/graphql/lexer.hpp"

#include "base/result.hpp"
#include "base/utf8.hpp"
#include "gateway/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::gateway::graphql {

namespace {

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/// A character as a message shows it.
std::string shown(std::string_view text)
{
    if (text.empty())
        return "<EOF>";
    const auto length = utf8_length(text);
    if (length > 0 && static_cast<unsigned char>(text[0]) >= 0x20)
        return fmt::format("\"{}\"", text.substr(0, length));
    return fmt::format("byte 0x{:02x}", static_cast<unsigned char>(text[0]));
}

/// The value of a block string: the common indentation and blank first and last lines are no part of it (2.9.4).
std::string without_indentation(std::string_view raw)
{
    std::vector<std::string_view> lines;
    for (std::size_t begin = 0;;) {
        const auto end = raw.find_first_of("\r\n", begin);
        lines.push_back(raw.substr(begin, end - begin));
        if (end == raw.npos)
            break;
        begin = end + (raw[end] == '\r' && end + 1 < raw.size() && raw[end + 1] == '\n' ? 2 : 1);
    }
    const auto indentation = [](std::string_view line) { return std::min(line.find_first_not_of(" \t"), line.size()); };
    std::size_t common = SIZE_MAX;
    for (std::size_t i = 1; i < lines.size(); ++i)
        if (indentation(lines[i]) < lines[i].size())
            common = std::min(common, indentation(lines[i]));
    for (std::size_t i = 1; common != SIZE_MAX && i < lines.size(); ++i)
        lines[i].remove_prefix(std::min(common, lines[i].size()));
    const auto blank = [&](std::string_view line) { return indentation(line) == line.size(); };
    auto first = lines.begin();
    auto last = lines.end();
    while (first != last && blank(*first))
        ++first;
    while (first != last && blank(*(last - 1)))
        --last;
    std::string value;
    for (auto line = first; line != last; ++line) {
        if (line != first)
            value += '\n';
        value += *line;
    }
    return value;
}

}  // namespace

std::string description(const Token& token)
{
    switch (token.kind) {
    case Token::Kind::end: return "<EOF>";
    case Token::Kind::punctuator: return fmt::format("\"{}\"", token.text);
    case Token::Kind::name: return fmt::format("Name \"{}\"", token.text);
    case Token::Kind::integer: return fmt::format("Int \"{}\"", token.text);
    case Token::Kind::real: return fmt::format("Float \"{}\"", token.text);
    case Token::Kind::string: return "a String";
    }
    return {};
}

void Lexer::step()
{
    const char c = text_[at_++];
    if (c == '\n' || (c == '\r' && look() != '\n')) {
        ++place_.line;
        place_.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
        // The bytes that continue a character take no column of their own.
        ++place_.column;
    }
}

void Lexer::skip_ignored()
{
    while (!at_end()) {
        const char c = look();
        if (c == '#') {
            while (!at_end() && look() != '\n' && look() != '\r')
                step();
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',') {
            step();
        } else if (text_.substr(at_).starts_with("\xef\xbb\xbf")) {
            at_ += 3;
        } else {
            return;
        }
    }
}

Checked<Token> Lexer::next()
{
    skip_ignored();
    Token token{.place = place_};
    if (at_end())
        return token;
    if (++tokens_ > limits_.tokens)
        return refuse(errors::over_limit, fmt::format("the query has more than {} tokens", limits_.tokens), place_);

    const char c = look();
    if (std::string_view("!$&():=@[]{|}").find(c) != std::string_view::npos) {
        token.kind = Token::Kind::punctuator;
        token.text = c;
        step();
        return token;
    }
    if (c == '.' && look(1) == '.' && look(2) == '.') {
        token.kind = Token::Kind::punctuator;
        token.text = "...";
        for (int i = 0; i < 3; ++i)
            step();
        return token;
    }
    if (begins_name(c)) {
        token.kind = Token::Kind::name;
        while (begins_name(look()) || is_digit(look())) {
            token.text += look();
            step();
        }
        return token;
    }
    if (is_digit(c) || c == '-')
        return number(std::move(token));
    if (c == '"')
        return text_.substr(at_).starts_with("\"\"\"") ? block_string(std::move(token)) : string(std::move(token));
    if (c == '\'')
        return refuse(errors::syntax,
            "Syntax Error: Unexpected single quote character ('), did you mean to use a double quote (\")?", place_);
    return refuse(errors::syntax, fmt::format("Syntax Error: Unexpected character: {}.", shown(text_.substr(at_))), place_);
}

Checked<Token> Lexer::number(Token token)
{
    token.kind = Token::Kind::integer;
    const auto take = [&] {
        token.text += look();
        step();
    };
    const auto digits = [&]() -> Checked<void> {
        if (!is_digit(look()))
            return refuse(errors::syntax,
                fmt::format("Syntax Error: Invalid number, expected digit but got: {}.", shown(text_.substr(at_))), place_);
        while (is_digit(look()))
            take();
        return {};
    };
    if (look() == '-')
        take();
    if (look() == '0') {
        take();
        if (is_digit(look()))
            return refuse(errors::syntax,
                fmt::format("Syntax Error: Invalid number, unexpected digit after 0: {}.", shown(text_.substr(at_))), place_);
    } else if (const auto some = digits(); !some) {
        return std::unexpected(some.error());
    }
    if (look() == '.') {
        token.kind = Token::Kind::real;
        take();
        if (const auto some = digits(); !some)
            return std::unexpected(some.error());
    }
    if (look() == 'e' || look() == 'E') {
        token.kind = Token::Kind::real;
        take();
        if (look() == '+' || look() == '-')
            take();
        if (const auto some = digits(); !some)
            return std::unexpected(some.error());
    }
    if (look() == '.' || begins_name(look()))
        return refuse(errors::syntax,
            fmt::format("Syntax Error: Invalid number, expected digit but got: {}.", shown(text_.substr(at_))), place_);
    return token;
}

Checked<Token> Lexer::string(Token token)
{
    token.kind = Token::Kind::string;
    step();
    for (;;) {
        if (at_end() || look() == '\n' || look() == '\r')
            return refuse(errors::syntax, "Syntax Error: Unterminated string.", place_);
        const char c = look();
        if (c == '"') {
            step();
            return token;
        }
        if (c == '\\') {
            if (const auto done = escape(token.text); !done)
                return std::unexpected(done.error());
            continue;
        }
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t')
            return refuse(errors::syntax,
                fmt::format("Syntax Error: Invalid character within String: {}.", shown(text_.substr(at_))), place_);
        token.text += c;
        step();
    }
}

Checked<std::uint32_t> Lexer::hex_digits(std::size_t count, Place begin)
{
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const char c = look();
        const int digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return refuse(errors::syntax, "Syntax Error: Invalid Unicode escape sequence.", begin);
        value = value << 4 | static_cast<std::uint32_t>(digit);
        step();
    }
    return value;
}

Checked<void> Lexer::escape(std::string& into)
{
    const auto begin = place_;
    step();
    const char c = look();
    constexpr std::string_view letters = "\"\\/bfnrt";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    if (const auto at = letters.find(c); c != '\0' && at != letters.npos) {
        into += meanings[at];
        step();
        return {};
    }
    if (c != 'u')
        return refuse(errors::syntax, "Syntax Error: Invalid character escape sequence.", begin);
    step();
    std::uint32_t code = 0;
    if (look() == '{') {
        step();
        std::size_t digits = 0;
        while (look() != '}') {
            TRY(const auto digit, hex_digits(1, begin));
            code = code << 4 | digit;
            if (++digits > 6)
                return refuse(errors::syntax, "Syntax Error: Invalid Unicode escape sequence.", begin);
        }
        step();
        if (digits == 0)
            return refuse(errors::syntax, "Syntax Error: Invalid Unicode escape sequence.", begin);
    } else {
        TRY(code, hex_digits(4, begin));
        // Two halves of one character.
        if (code >= 0xd800 && code < 0xdc00 && look() == '\\' && look(1) == 'u') {
            step();
            step();
            TRY(const auto low, hex_digits(4, begin));
            if (low < 0xdc00 || low >= 0xe000)
                return refuse(errors::syntax, "Syntax Error: Invalid Unicode escape sequence.", begin);
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return refuse(errors::syntax, "Syntax Error: Invalid Unicode escape sequence.", begin);
    append_utf8(into, code);
    return {};
}

Checked<Token> Lexer::block_string(Token token)
{
    token.kind = Token::Kind::string;
    for (int i = 0; i < 3; ++i)
        step();
    std::string raw;
    while (!at_end()) {
        const auto rest = text_.substr(at_);
        if (rest.starts_with("\"\"\"")) {
            for (int i = 0; i < 3; ++i)
                step();
            token.text = without_indentation(raw);
            return token;
        }
        if (rest.starts_with("\\\"\"\"")) {
            raw += "\"\"\"";
            for (int i = 0; i < 4; ++i)
                step();
            continue;
        }
        raw += look();
        step();
    }
    return refuse(errors::syntax, "Syntax Error: Unterminated string.", place_);
}

}  // namespace altiplano::gateway::graphql
