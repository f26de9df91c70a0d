#pragma once

#include "cli/options.hpp"
#include "node/config.hpp"

#include <CLI/CLI.hpp>
#include <memory>

namespace altiplano::cli {

/// What the flags of a command say of the configuration.
struct ConfigFlags {
    std::string file;  ///< --config
    node::Config::Flags said;

    /// Flags, environment, file, defaults. The file is that of --config, ALTIPLANO_CONFIG, or
    /// ~/.config/altiplano/node.toml if it is there. @return node.bad_config, base.file_missing
    Result<node::Config> load() const;
};

/// A flag for every key of the table, and --config.
std::shared_ptr<ConfigFlags> add_config_options(CLI::App& app);

/// A path with ~/ in front of it, as a shell would have it.
Path home_path(const std::string& text);

}  // namespace altiplano::cli
