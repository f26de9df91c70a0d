#include "base/json.hpp"

#include "base/errors.hpp"
#include "base/utf8.hpp"

#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace altiplano {

namespace {

void append_escaped(std::string& out, char c)
{
    switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
}

bool needs_escape(char c)
{
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

std::optional<std::uint32_t> four_digits(std::string_view text)
{
    std::uint32_t value = 0;
    if (text.size() < 4)
        return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + 4, value, 16);
    return error == std::errc{} && end == text.data() + 4 ? std::optional(value) : std::nullopt;
}

/// Walks over one value; used once to check the whole text, and again over parts of it that are known to be right.
class Walker {
public:
    explicit Walker(std::string_view text)
        : text_(text)
    {
    }

    std::size_t position() const { return position_; }

    void skip_space()
    {
        while (position_ < text_.size()
            && (text_[position_] == ' ' || text_[position_] == '\t' || text_[position_] == '\n' || text_[position_] == '\r'))
            ++position_;
    }
    bool at_end() const { return position_ == text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[position_]; }
    bool take(char c)
    {
        if (at_end() || text_[position_] != c)
            return false;
        ++position_;
        return true;
    }

    /// @return whether a whole value stood there
    bool value(int depth)
    {
        skip_space();
        switch (peek()) {
        case '{': return object(depth);
        case '[': return array(depth);
        case '"': return string();
        case 't': return word("true");
        case 'f': return word("false");
        case 'n': return word("null");
        default: return number();
        }
    }

    bool string()
    {
        if (!take('"'))
            return false;
        while (!at_end()) {
            const char c = text_[position_++];
            if (c == '"')
                return true;
            if (static_cast<unsigned char>(c) < 0x20)
                return false;
            if (c == '\\') {
                if (at_end())
                    return false;
                const char escape = text_[position_++];
                if (escape == 'u') {
                    if (!four_digits(text_.substr(position_)))
                        return false;
                    position_ += 4;
                } else if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) {
                    return false;
                }
            }
        }
        return false;
    }

private:
    bool word(std::string_view expected)
    {
        if (text_.substr(position_, expected.size()) != expected)
            return false;
        position_ += expected.size();
        return true;
    }
    bool digits()
    {
        const auto began = position_;
        while (!at_end() && text_[position_] >= '0' && text_[position_] <= '9')
            ++position_;
        return position_ > began;
    }
    bool number()
    {
        take('-');
        if (!take('0') && !digits())
            return false;
        if (take('.') && !digits())
            return false;
        if (peek() == 'e' || peek() == 'E') {
            ++position_;
            if (!take('+'))
                take('-');
            return digits();
        }
        return true;
    }
    bool array(int depth)
    {
        if (depth == 0 || !take('['))
            return false;
        skip_space();
        if (take(']'))
            return true;
        do {
            if (!value(depth - 1))
                return false;
            skip_space();
        } while (take(','));
        return take(']');
    }
    bool object(int depth)
    {
        if (depth == 0 || !take('{'))
            return false;
        skip_space();
        if (take('}'))
            return true;
        do {
            skip_space();
            if (!string())
                return false;
            skip_space();
            if (!take(':') || !value(depth - 1))
                return false;
            skip_space();
        } while (take(','));
        return take('}');
    }

    std::string_view text_;
    std::size_t position_ = 0;
};

/// What stands between the quotes of a checked string, escapes resolved.
std::string unescape(std::string_view inside)
{
    std::string out;
    out.reserve(inside.size());
    for (std::size_t i = 0; i < inside.size(); ++i) {
        if (inside[i] != '\\') {
            out += inside[i];
            continue;
        }
        switch (inside[++i]) {
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case 'n': out += '\n'; break;
        case 'r': out += '\r'; break;
        case 't': out += '\t'; break;
        case 'u': {
            auto code = *four_digits(inside.substr(i + 1));
            i += 4;
            if (code >= 0xd800 && code < 0xdc00 && inside.substr(i + 1, 2) == "\\u") {
                const auto low = four_digits(inside.substr(i + 3));
                if (low && *low >= 0xdc00 && *low < 0xe000) {
                    code = 0x10000 + ((code - 0xd800) << 10) + (*low - 0xdc00);
                    i += 6;
                }
            }
            // Half a surrogate pair stands for no character.
            if (code >= 0xd800 && code < 0xe000)
                out += "\xef\xbf\xbd";
            else
                append_utf8(out, code);
            break;
        }
        default: out += inside[i];
        }
    }
    return out;
}

}  // namespace

void JsonWriter::separate()
{
    if (needs_comma_)
        out_ += ',';
    needs_comma_ = true;
}
JsonWriter& JsonWriter::begin_object()
{
    separate();
    out_ += '{';
    needs_comma_ = false;
    return *this;
}
JsonWriter& JsonWriter::end_object()
{
    out_ += '}';
    needs_comma_ = true;
    return *this;
}
JsonWriter& JsonWriter::begin_array()
{
    separate();
    out_ += '[';
    needs_comma_ = false;
    return *this;
}
JsonWriter& JsonWriter::end_array()
{
    out_ += ']';
    needs_comma_ = true;
    return *this;
}
JsonWriter& JsonWriter::key(std::string_view name)
{
    string(name);
    out_ += ':';
    needs_comma_ = false;
    return *this;
}
JsonWriter& JsonWriter::string(std::string_view value)
{
    separate();
    out_ += '"';
    while (!value.empty()) {
        const char c = value[0];
        if (needs_escape(c)) {
            append_escaped(out_, c);
            value.remove_prefix(1);
        } else if (static_cast<unsigned char>(c) < 0x80 || policy_ == Text::guest) {
            out_ += c;
            value.remove_prefix(1);
        } else {
            std::size_t broken = 0;
            const auto length = utf8_length(value, &broken);
            out_ += length > 0 ? value.substr(0, length) : std::string_view("\xef\xbf\xbd");
            value.remove_prefix(length > 0 ? length : broken);
        }
    }
    out_ += '"';
    return *this;
}
JsonWriter& JsonWriter::number(std::int64_t value)
{
    separate();
    out_ += std::to_string(value);
    return *this;
}
JsonWriter& JsonWriter::number(std::uint64_t value)
{
    separate();
    out_ += std::to_string(value);
    return *this;
}
JsonWriter& JsonWriter::number(double value)
{
    separate();
    out_ += std::isfinite(value) ? fmt::format("{}", value) : "null";
    return *this;
}
JsonWriter& JsonWriter::boolean(bool value)
{
    separate();
    out_ += value ? "true" : "false";
    return *this;
}
JsonWriter& JsonWriter::null()
{
    separate();
    out_ += "null";
    return *this;
}
JsonWriter& JsonWriter::raw(std::string_view json)
{
    separate();
    if (policy_ == Text::guest || is_utf8(json))
        out_ += json;
    else
        out_ += to_utf8(json);
    return *this;
}

Result<JsonView> JsonView::parse(std::string_view text)
{
    Walker walker(text);
    walker.skip_space();
    const auto began = walker.position();
    if (!walker.value(depth_max))
        return fail(errors::bad_json,
            fmt::format("this is not JSON, or nested deeper than {}: it breaks at byte {} of {}", depth_max, walker.position(),
                text.size()));
    const auto ended = walker.position();
    walker.skip_space();
    if (!walker.at_end())
        return fail(
            errors::bad_json, fmt::format("{} bytes follow the JSON value that ends at byte {}", text.size() - ended, ended));
    return JsonView(text.substr(began, ended - began));
}

JsonView::Kind JsonView::kind() const noexcept
{
    switch (text_[0]) {
    case '{': return Kind::object;
    case '[': return Kind::array;
    case '"': return Kind::string;
    case 't':
    case 'f': return Kind::boolean;
    case 'n': return Kind::null;
    default: return Kind::number;
    }
}

std::vector<JsonView> JsonView::elements() const
{
    std::vector<JsonView> found;
    if (kind() != Kind::array)
        return found;
    Walker walker(text_);
    walker.take('[');
    walker.skip_space();
    if (walker.take(']'))
        return found;
    do {
        walker.skip_space();
        const auto began = walker.position();
        walker.value(depth_max);
        found.push_back(JsonView(text_.substr(began, walker.position() - began)));
        walker.skip_space();
    } while (walker.take(','));
    return found;
}

std::vector<std::pair<std::string, JsonView>> JsonView::members() const
{
    std::vector<std::pair<std::string, JsonView>> found;
    if (kind() != Kind::object)
        return found;
    Walker walker(text_);
    walker.take('{');
    walker.skip_space();
    if (walker.take('}'))
        return found;
    do {
        walker.skip_space();
        const auto name_at = walker.position();
        walker.string();
        auto name = unescape(text_.substr(name_at + 1, walker.position() - name_at - 2));
        walker.skip_space();
        walker.take(':');
        walker.skip_space();
        const auto began = walker.position();
        walker.value(depth_max);
        found.emplace_back(std::move(name), JsonView(text_.substr(began, walker.position() - began)));
        walker.skip_space();
    } while (walker.take(','));
    return found;
}

std::optional<JsonView> JsonView::find(std::string_view name) const
{
    std::optional<JsonView> last;
    for (auto& [key, value] : members())
        if (key == name)
            last = value;
    return last;
}

std::optional<std::string> JsonView::string() const
{
    if (kind() != Kind::string)
        return std::nullopt;
    return unescape(text_.substr(1, text_.size() - 2));
}

std::optional<double> JsonView::number() const
{
    if (kind() != Kind::number)
        return std::nullopt;
    double value = 0;
    std::from_chars(text_.data(), text_.data() + text_.size(), value);
    return value;
}

std::optional<std::int64_t> JsonView::integer() const
{
    std::int64_t value = 0;
    const auto* end = text_.data() + text_.size();
    const auto [stopped, error] = std::from_chars(text_.data(), end, value);
    return kind() == Kind::number && error == std::errc{} && stopped == end ? std::optional(value) : std::nullopt;
}

std::optional<bool> JsonView::boolean() const
{
    return kind() == Kind::boolean ? std::optional(text_ == "true") : std::nullopt;
}

std::optional<std::string> JsonView::text() const
{
    switch (kind()) {
    case Kind::string: return string();
    case Kind::number:
    case Kind::boolean: return std::string(text_);
    default: return std::nullopt;
    }
}

std::string error_json(const Error& error)
{
    JsonWriter json;
    json.begin_object()
        .member("error", std::string_view(error.sentence))
        .member("code", error.code)
        .member("hint", std::string_view(error.hint))
        .end_object();
    return std::move(json).text();
}

}  // namespace altiplano
