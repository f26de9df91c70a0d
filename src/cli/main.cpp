#include "base/id.hpp"
#include "cli/commands.hpp"

#include <algorithm>
#include <curl/curl.h>
#include <malloc.h>

namespace {

// One id in 64 begins with a hyphen, and would pass for an option. Such an argument gets a blank before it while the
// command line is taken apart; every option and positional argument then takes it off again.
constexpr char shield = ' ';

bool is_id_like_an_option(std::string_view text)
{
    return text.starts_with('-') && altiplano::ItemId::parse(text);
}

std::vector<std::string> shielded(int argc, char** argv)
{
    std::vector<std::string> arguments(argv + 1, argv + argc);
    for (auto& argument : arguments)
        if (is_id_like_an_option(argument))
            argument.insert(argument.begin(), shield);
    std::ranges::reverse(arguments);  // the order that CLI11 wants
    return arguments;
}

void take_shields_off(CLI::App& app)
{
    for (auto* const option : app.get_options())
        if (option->get_items_expected_max() > 0)
            option->transform(
                [](std::string text) {
                    if (text.starts_with(shield) && is_id_like_an_option(std::string_view(text).substr(1)))
                        text.erase(0, 1);
                    return text;
                },
                "");
    for (auto* const command : app.get_subcommands([](const CLI::App*) { return true; }))
        take_shields_off(*command);
}

}  // namespace

int main(int argc, char** argv)
{
    using namespace altiplano::cli;
    // Large blocks, modules and items above all, go back to the kernel when they are freed. Left alone, the allocator learns from
    // the first of them to keep as much for every thread.
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);  // setting the one sets the other to 128 KiB, which costs a compiler most of its time
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
    add_config_commands(app, common, exit);
    add_item_commands(app, common, exit);
    add_module_commands(app, common, exit);
    add_model_commands(app, common, exit);
    add_extension_commands(app, common, exit);
    add_process_commands(app, common, exit);
    add_network_commands(app, common, exit);
    add_ask_command(app, common, exit);
    add_console_command(app, common, exit);
    add_up_command(app, common, exit);
    add_herd_commands(app, common, exit);
    add_token_commands(app, common, exit);
    add_checkpoint_commands(app, common, exit);
    add_machine_commands(app, common, exit);
    add_past_commands(app, common, exit);
    add_verify_commands(app, common, exit);
    add_receipt_commands(app, common, exit);
    take_shields_off(app);
    try {
        app.parse(shielded(argc, argv));
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
    }
    return static_cast<int>(exit);
}
