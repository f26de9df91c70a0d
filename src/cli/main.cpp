#include "cli/commands.hpp"

#include <curl/curl.h>

int main(int argc, char** argv)
{
    using namespace altiplano::cli;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    auto common = defaults();
    auto exit = Exit::ok;
    CLI::App app("Altiplano: the AO computer. An AI lives in a process, and anybody can recompute what it said.", "altiplano");
    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version", "altiplano 0.1.0");
    app.add_flag("--json", common.json, "print exactly one JSON document");
    app.add_option("--url", common.url, "the node's address (ALTIPLANO_NODE)")->capture_default_str();
    app.add_option("--wallet", common.wallet, "the key that signs (ALTIPLANO_WALLET); made when missing")->capture_default_str();
    add_node_commands(app, common, exit);
    add_item_commands(app, common, exit);
    add_process_commands(app, common, exit);
    add_ask_command(app, common, exit);
    add_verify_commands(app, common, exit);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
    }
    return static_cast<int>(exit);
}
