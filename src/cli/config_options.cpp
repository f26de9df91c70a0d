#include "cli/config_options.hpp"

#include <cstdlib>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

std::optional<std::string> environment(const std::string& name)
{
    const char* const value = std::getenv(name.c_str());
    return value && *value ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace

Path home_path(const std::string& text)
{
    return text.starts_with("~/") ? Path(environment("HOME").value_or(".")) / text.substr(2) : Path(text);
}

Result<node::Config> ConfigFlags::load() const
{
    auto path = Path(file.empty() ? environment("ALTIPLANO_CONFIG").value_or("") : file);
    if (path.empty()) {
        path = Path(environment("XDG_CONFIG_HOME").value_or(home_path("~/.config").string())) / "altiplano" / "node.toml";
        if (!system_files().exists(path))
            path.clear();
    }
    return node::Config::load(path, system_files(), environment, said);
}

std::shared_ptr<ConfigFlags> add_config_options(CLI::App& app)
{
    auto flags = std::make_shared<ConfigFlags>();
    app.add_option("--config", flags->file, "file of settings in TOML (ALTIPLANO_CONFIG)")->type_name("FILE");
    for (const auto& setting : node::Config::table()) {
        const auto name = std::string(setting.name);
        const auto sentence = fmt::format("{} ({})", setting.sentence, setting.environment());
        if (setting.type == node::Setting::Type::boolean) {
            app.add_flag_function(
                fmt::format("--{0},!--no-{0}", setting.flag()),
                [flags, name](std::int64_t count) { flags->said[name] = count > 0 ? "true" : "false"; }, sentence);
            continue;
        }
        using Type = node::Setting::Type;
        app.add_option_function<std::string>(
               "--" + setting.flag(), [flags, name](const std::string& value) { flags->said[name] = value; }, sentence)
            ->type_name(setting.type == Type::number ? "N"
                    : setting.type == Type::list     ? "A,B"
                    : setting.type == Type::map      ? "A=B,C=D"
                                                     : "TEXT")
            ->default_str(std::string(setting.otherwise));
    }
    return flags;
}

}  // namespace altiplano::cli
