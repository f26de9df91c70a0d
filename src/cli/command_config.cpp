// What a node would run with, and from where each value is.
#include "cli/commands.hpp"
#include "cli/config_options.hpp"

namespace altiplano::cli {

void add_config_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto* const config = app.add_subcommand("config", "the settings of a node");
    config->require_subcommand(1);
    auto* const show = config->add_subcommand(
        "show", "what `altiplano node` would run with: flags before environment before file before defaults");
    auto explain = std::make_shared<bool>(false);
    show->add_flag("--explain", *explain, "with what each key is, its default, and where its value is from");
    const auto flags = add_config_options(*show);
    show->callback([&common, &exit, explain, flags] {
        const auto settings = flags->load();
        if (!settings)
            exit = report(common, settings.error());
        else
            std::fputs(common.json ? (settings->json() + "\n").c_str() : settings->toml(*explain).c_str(), stdout);
    });

    auto* const alias = app.add_subcommand("alias", "published ids that local items stand for");
    alias->require_subcommand(1);
    auto* const list = alias->add_subcommand("ls", "the aliases of the node's configuration, and what stands for them");
    list->callback([&common, &exit] {
        const auto answer = Client(common.url).get("/~altiplano/aliases");
        if (!answer) {
            exit = report(common, answer.error());
            return;
        }
        std::vector<std::pair<std::string, std::string>> lines;
        const auto view = answer->view();
        const auto aliases = view ? view->find("aliases") : std::nullopt;
        for (const auto& one : aliases ? aliases->elements() : std::vector<JsonView>{}) {
            const auto text = [&](std::string_view name) { return one.find(name) ? one.find(name)->text().value_or("") : ""; };
            const auto local = text("local");
            lines.emplace_back(
                text("published"), (local.empty() || local == "null" ? "nothing here" : local) + " (" + text("configured") + ")");
        }
        print(common, std::string(view ? view->raw() : ""), lines);
    });
}

}  // namespace altiplano::cli
