#include "node/config.hpp"

#include "base/json.hpp"
#include "node/errors.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <sstream>
#include <toml++/toml.h>

namespace altiplano::node {

namespace {

const Setting* find(std::string_view name)
{
    const auto table = Config::table();
    const auto found = std::ranges::find(table, name, &Setting::name);
    return found == table.end() ? nullptr : &*found;
}

std::unexpected<Error> bad(std::string_view where, std::string_view sentence, std::string hint = {})
{
    return fail(errors::bad_config, fmt::format("{}: {}", where, sentence), std::move(hint));
}

std::string_view name_of(Setting::Type type)
{
    switch (type) {
    case Setting::Type::text: return "text";
    case Setting::Type::number: return "number";
    case Setting::Type::boolean: return "boolean";
    case Setting::Type::list: return "list of texts";
    case Setting::Type::map: return "table of texts";
    }
    return "";
}

std::vector<std::string> split(std::string_view text)
{
    std::vector<std::string> parts;
    while (!text.empty()) {
        const auto part = text.substr(0, text.find(','));
        if (!part.empty())
            parts.emplace_back(part);
        text.remove_prefix(std::min(text.size(), part.size() + 1));
    }
    return parts;
}

/// Insertions, deletions and changes from one word to another.
std::size_t distance(std::string_view one, std::string_view other)
{
    std::vector<std::size_t> row(other.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= one.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j < row.size(); ++j) {
            const auto above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (one[i - 1] == other[j - 1] ? 0U : 1U)});
            diagonal = above;
        }
    }
    return row.back();
}

std::string in_toml(std::string_view text)
{
    std::ostringstream out;
    out << toml::value<std::string>(text);
    return out.str();
}

}  // namespace

std::string Setting::flag() const
{
    std::string text(name);
    std::ranges::replace(text, '_', '-');
    return text;
}

std::string Setting::environment() const
{
    std::string text = "ALTIPLANO_";
    for (const char c : name)
        text += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return text;
}

std::string nearest_setting(std::string_view wrong)
{
    std::string_view best;
    std::size_t least = std::max<std::size_t>(2, wrong.size() / 2);
    for (const auto& setting : Config::table())
        if (const auto far = distance(wrong, setting.name); far <= least) {
            least = far;
            best = setting.name;
        }
    return std::string(best);
}

Result<Config> Config::load(const Path& file, Files& files, const Environment& environment, const Flags& flags)
{
    Config config;
    for (const auto& setting : table()) {
        TRY(config.values_[std::string(setting.name)], parsed(setting, setting.otherwise, "default"));
    }
    if (!file.empty())
        TRY_OK(config.read_file(file, files));
    for (const auto& setting : table()) {
        auto& value = config.values_[std::string(setting.name)];
        if (const auto said = environment(setting.environment())) {
            TRY(value, parsed(setting, *said, setting.environment()));
        }
        if (const auto said = flags.find(setting.name); said != flags.end()) {
            TRY(value, parsed(setting, said->second, "--" + setting.flag()));
        }
    }
    return config;
}

Result<Config::Value> Config::parsed(const Setting& setting, std::string_view text, std::string origin)
{
    Value value{.text = std::string(text), .list = {}, .map = {}, .origin = std::move(origin)};
    if (setting.type == Setting::Type::boolean) {
        const bool yes = text == "true" || text == "1" || text == "yes" || text == "on";
        if (!yes && text != "false" && text != "0" && text != "no" && text != "off")
            return bad(value.origin, fmt::format("{} is true or false, not '{}'", setting.name, text));
        value.text = yes ? "true" : "false";
    }
    if (setting.type == Setting::Type::list)
        value.list = split(text);
    if (setting.type == Setting::Type::map)
        for (const auto& pair : split(text)) {
            const auto equals = pair.find('=');
            if (equals == pair.npos)
                return bad(value.origin, fmt::format("{} has '{}', which is no name=value", setting.name, pair));
            value.map[pair.substr(0, equals)] = pair.substr(equals + 1);
        }
    TRY_OK(check(setting, value));
    return value;
}

Result<void> Config::check(const Setting& setting, const Value& value)
{
    if (setting.type == Setting::Type::number) {
        std::uint64_t number = 0;
        const auto& text = value.text;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (text.empty() || code != std::errc{} || end != text.data() + text.size() || number < setting.least
            || number > setting.most)
            return bad(value.origin,
                fmt::format("{} is a whole number from {} to {}, not '{}'", setting.name, setting.least, setting.most, text));
    }
    if (!setting.choices.empty()) {
        bool known = false;
        for (auto rest = setting.choices; !rest.empty();) {
            const auto choice = rest.substr(0, rest.find('|'));
            known = known || choice == value.text;
            rest.remove_prefix(std::min(rest.size(), choice.size() + 1));
        }
        if (!known)
            return bad(value.origin, fmt::format("{} is one of {}, not '{}'", setting.name, setting.choices, value.text));
    }
    return {};
}

Result<void> Config::read_file(const Path& file, Files& files)
{
    constexpr std::uint64_t bytes_max = 1 << 20;
    TRY(const auto opened, files.open(file, Files::Mode::read));
    TRY(const auto size, opened->size());
    if (size > bytes_max)
        return bad(file.string(), fmt::format("it has {} bytes; a configuration has at most {}", size, bytes_max));
    Buffer bytes(size);
    TRY(const auto got, opened->read_at(0, bytes));
    bytes.resize(got);

    toml::table document;
    try {
        document = toml::parse(as_text(bytes));
    } catch (const toml::parse_error& error) {
        return bad(
            fmt::format("{}:{}", file.string(), error.source().begin.line), error.description(), "it is written in TOML 1.0");
    }
    for (const auto& [key, node] : document) {
        const auto where = fmt::format("{}:{}", file.string(), key.source().begin.line);
        const auto* const setting = find(key.str());
        if (!setting) {
            const auto near = nearest_setting(key.str());
            return bad(where, fmt::format("there is no setting '{}'", key.str()),
                near.empty() ? "`altiplano config show --explain` lists them" : fmt::format("did you mean '{}'?", near));
        }
        const auto wrong = [&] { return bad(where, fmt::format("{} is a {}", setting->name, name_of(setting->type))); };
        Value value{.text = {}, .list = {}, .map = {}, .origin = where};
        switch (setting->type) {
        case Setting::Type::text:
            if (!node.is_string())
                return wrong();
            value.text = **node.as_string();
            break;
        case Setting::Type::number:
            if (!node.is_integer())
                return wrong();
            value.text = std::to_string(**node.as_integer());
            break;
        case Setting::Type::boolean:
            if (!node.is_boolean())
                return wrong();
            value.text = **node.as_boolean() ? "true" : "false";
            break;
        case Setting::Type::list:
            if (!node.is_array())
                return wrong();
            for (const auto& one : *node.as_array()) {
                if (!one.is_string())
                    return wrong();
                value.list.push_back(**one.as_string());
            }
            break;
        case Setting::Type::map:
            if (!node.is_table())
                return wrong();
            for (const auto& [name, one] : *node.as_table()) {
                if (!one.is_string())
                    return wrong();
                value.map[std::string(name.str())] = **one.as_string();
            }
            break;
        }
        TRY_OK(check(*setting, value));
        values_[std::string(setting->name)] = std::move(value);
    }
    return {};
}

const Config::Value& Config::value(std::string_view name, Setting::Type type) const
{
    const auto* const setting = find(name);
    ENSURE(setting && setting->type == type, "settings are asked for by the names and types of the table");
    return values_.find(name)->second;
}

std::string Config::text(std::string_view name) const
{
    return value(name, Setting::Type::text).text;
}
std::uint64_t Config::number(std::string_view name) const
{
    const auto& text = value(name, Setting::Type::number).text;
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}
bool Config::boolean(std::string_view name) const
{
    return value(name, Setting::Type::boolean).text == "true";
}
std::vector<std::string> Config::list(std::string_view name) const
{
    return value(name, Setting::Type::list).list;
}
std::map<std::string, std::string> Config::map(std::string_view name) const
{
    return value(name, Setting::Type::map).map;
}
const std::string& Config::origin(std::string_view name) const
{
    return values_.find(name)->second.origin;
}

std::string Config::toml(bool explain) const
{
    std::string keys;
    std::string tables;  // a table takes every key after it: tables come last
    for (const auto& setting : table()) {
        const auto& value = values_.find(setting.name)->second;
        const auto head = !explain
            ? std::string()
            : fmt::format("# {}\n# {}; default: {}; from: {}; {}, --{}\n", setting.sentence, name_of(setting.type),
                  setting.otherwise.empty() ? "none" : setting.otherwise, value.origin, setting.environment(), setting.flag());
        std::string said = value.text;
        if (setting.type == Setting::Type::text)
            said = in_toml(value.text);
        if (setting.type == Setting::Type::list) {
            said = "[";
            for (const auto& one : value.list)
                said += (said.size() > 1 ? ", " : "") + in_toml(setting.secret ? "(not shown)" : one);
            said += "]";
        }
        if (setting.type == Setting::Type::map) {
            tables += fmt::format("{}[{}]\n", head, setting.name);
            for (const auto& [name, one] : value.map)
                tables += fmt::format("{} = {}\n", in_toml(name), in_toml(one));
            tables += explain ? "\n" : "";
            continue;
        }
        keys += fmt::format("{}{} = {}\n{}", head, setting.name, said, explain ? "\n" : "");
    }
    return keys + tables;
}

std::string Config::json() const
{
    JsonWriter json;
    json.begin_object();
    for (const auto& setting : table()) {
        const auto& value = values_.find(setting.name)->second;
        json.key(setting.name).begin_object().key("value");
        switch (setting.type) {
        case Setting::Type::text: json.string(value.text); break;
        case Setting::Type::number:
        case Setting::Type::boolean: json.raw(value.text); break;
        case Setting::Type::list:
            json.begin_array();
            for (const auto& one : value.list)
                json.string(setting.secret ? "(not shown)" : std::string_view(one));
            json.end_array();
            break;
        case Setting::Type::map:
            json.begin_object();
            for (const auto& [name, one] : value.map)
                json.member(name, std::string_view(one));
            json.end_object();
            break;
        }
        json.member("type", name_of(setting.type))
            .member("default", setting.otherwise)
            .member("from", std::string_view(value.origin))
            .member("environment", std::string_view(setting.environment()))
            .member("flag", std::string_view("--" + setting.flag()))
            .member("what", setting.sentence)
            .end_object();
    }
    json.end_object();
    return std::move(json).text();
}

}  // namespace altiplano::node
