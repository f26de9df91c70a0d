#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace altiplano {

/// Writes JSON in the order of the calls, without white space: the same calls, the same bytes. One serialiser for what
/// guests read and for what clients read.
class JsonWriter {
public:
    enum class Text {
        guest,  ///< bytes of 0x80 and above stay as they are, so that binary data reaches a process unharmed
        client,  ///< what is not UTF-8 becomes U+FFFD, as every JSON reader expects
    };
    explicit JsonWriter(Text text = Text::client)
        : policy_(text)
    {
    }

    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view name);
    JsonWriter& string(std::string_view value);
    JsonWriter& number(std::int64_t value);
    JsonWriter& number(std::uint64_t value);
    JsonWriter& number(double value);
    JsonWriter& boolean(bool value);
    JsonWriter& null();
    JsonWriter& raw(std::string_view json);  ///< a whole JSON value, as it is but for the policy

    JsonWriter& member(std::string_view name, std::string_view value) { return key(name).string(value); }
    JsonWriter& member(std::string_view name, const char* value) { return key(name).string(value); }
    JsonWriter& member(std::string_view name, std::int64_t value) { return key(name).number(value); }
    JsonWriter& member(std::string_view name, std::uint64_t value) { return key(name).number(value); }
    JsonWriter& member(std::string_view name, bool value) { return key(name).boolean(value); }

    /// A place to go back to: what was written since is dropped.
    struct Mark {
        std::size_t size;
        bool needs_comma;
    };
    Mark mark() const noexcept { return {out_.size(), needs_comma_}; }
    void back_to(Mark mark)
    {
        out_.resize(mark.size);
        needs_comma_ = mark.needs_comma;
    }

    const std::string& text() const& { return out_; }
    std::string text() && { return std::move(out_); }

private:
    void separate();
    Text policy_;
    std::string out_;
    bool needs_comma_ = false;
};

/// A borrowed look at hostile JSON: checked once as a whole, then walked without copies. Strings may hold any bytes of
/// 0x80 and above. Nesting deeper than `depth_max` is refused. Lives as long as the text it was given.
class JsonView {
public:
    static constexpr int depth_max = 64;
    enum class Kind { null, boolean, number, string, array, object };

    /// @return base.bad_json with the place
    static Result<JsonView> parse(std::string_view text);

    Kind kind() const noexcept;
    bool is_null() const noexcept { return kind() == Kind::null; }
    /// The value's own bytes, exactly as they stand in the text.
    std::string_view raw() const noexcept { return text_; }

    /// The member of an object; of several with one name the last, as JSON.parse has it. Nothing for other kinds.
    std::optional<JsonView> find(std::string_view name) const;
    /// Elements of an array; empty for other kinds.
    std::vector<JsonView> elements() const;
    /// Members of an object in order; empty for other kinds.
    std::vector<std::pair<std::string, JsonView>> members() const;
    /// A string with its escapes resolved; nothing for other kinds.
    std::optional<std::string> string() const;
    std::optional<double> number() const;
    std::optional<std::int64_t> integer() const;  ///< only when written as one that fits
    std::optional<bool> boolean() const;
    /// A string as it is, a number or boolean as written: what AO clients accept where a text is due.
    std::optional<std::string> text() const;

private:
    explicit JsonView(std::string_view text)
        : text_(text)
    {
    }
    std::string_view text_;
};

/// `{"error": sentence, "code", "hint"}`: how every program of ours says an Error in JSON.
std::string error_json(const Error& error);

}  // namespace altiplano
