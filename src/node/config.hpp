#pragma once

#include "base/files.hpp"
#include "base/result.hpp"

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace altiplano::node {

/// One key of the configuration. Everything about it stands in the table, nowhere else.
struct Setting {
    enum class Type {
        text,
        number,  ///< a whole number from `least` to `most`
        boolean,
        list,  ///< of texts; in the environment and in flags with commas between
        map,  ///< from text to text; in the environment and in flags `a=b,c=d`
    };
    std::string_view name;  ///< as in the file; the flag has hyphens, the environment ALTIPLANO_ and capitals
    Type type;
    std::string_view otherwise;  ///< the default, as it would be written in the environment
    std::string_view sentence;
    std::uint64_t least = 0;
    std::uint64_t most = INT64_MAX;
    std::string_view choices{};  ///< of a text: what it may be, with | between; empty: anything
    bool secret = false;  ///< not shown

    std::string flag() const;  ///< "alias-ports"
    std::string environment() const;  ///< "ALTIPLANO_ALIAS_PORTS"
};

/// The settings of a node: a flag before the environment before the file before the default.
class Config {
public:
    static std::span<const Setting> table();

    /// What a flag of the command line said, by the setting's name.
    using Flags = std::map<std::string, std::string, std::less<>>;
    using Environment = std::function<std::optional<std::string>(const std::string& name)>;
    /// @param file  empty: none
    /// @return node.bad_config for a file that is no TOML, has a key that is not in the table (with the nearest one that
    ///         is), or a value that does not fit; each with file and line, or the variable, or the flag. base.file_missing
    static Result<Config> load(const Path& file, Files& files, const Environment& environment, const Flags& flags);

    // Each must be asked for by its own type.
    std::string text(std::string_view name) const;
    std::uint64_t number(std::string_view name) const;
    bool boolean(std::string_view name) const;
    std::vector<std::string> list(std::string_view name) const;
    std::map<std::string, std::string> map(std::string_view name) const;
    /// "default", "FILE:3", "ALTIPLANO_PORT", "--port"
    const std::string& origin(std::string_view name) const;

    /// A file that says the same. @param explain  with what each key is, its default, and where its value is from
    std::string toml(bool explain) const;
    /// {"port": {"value": 4000, "from": "default", ...}, ...}
    std::string json() const;

private:
    struct Value {
        std::string text;  ///< of text, number, boolean
        std::vector<std::string> list;
        std::map<std::string, std::string> map;
        std::string origin;
    };
    const Value& value(std::string_view name, Setting::Type type) const;
    static Result<Value> parsed(const Setting& setting, std::string_view text, std::string origin);
    static Result<void> check(const Setting& setting, const Value& value);
    Result<void> read_file(const Path& file, Files& files);

    std::map<std::string, Value, std::less<>> values_;
};

/// The name of the table that is nearest to a wrong one; empty when none is near.
std::string nearest_setting(std::string_view wrong);

}  // namespace altiplano::node
