// What a node would run with, and from where each value is.
#include "cli/commands.hpp"
#include "cli/config_options.hpp"

#include <fmt/format.h>

namespace altiplano::cli {

Result<Answer> add_alias(const Client& client, const std::string& published, const std::string& what)
{
    JsonWriter json;
    json.begin_object().member("published", std::string_view(published)).member("for", std::string_view(what)).end_object();
    return client.post("/~altiplano/aliases", as_bytes(json.text()));
}

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
    auto* const list =
        alias->add_subcommand("ls", "the node's aliases, from its configuration or added, and what stands for them");
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
                text("published"), fmt::format("{} ({}, {})", local.empty() ? "nothing here" : local, text("for"), text("from")));
        }
        print(common, std::string(view ? view->raw() : ""), lines);
    });

    struct Pair {
        std::string published;
        std::string what;
    };
    auto pair = std::make_shared<Pair>();
    auto* const put = alias->add_subcommand("add", "lets what is here stand for a published id; kept by the node");
    put->add_option("published", pair->published, "the id that programs know")->required();
    put->add_option("for", pair->what, "an id, or Tag=Value for the newest item with that tag")->required();
    put->callback([&common, &exit, pair] {
        if (const auto added = add_alias(Client(common.url), pair->published, pair->what); !added)
            exit = report(common, added.error());
        else
            print(common, added->text, {{pair->published, pair->what}});
    });
    auto* const remove = alias->add_subcommand("rm", "one that was added");
    remove->add_option("published", pair->published)->required();
    remove->callback([&common, &exit, pair] {
        const auto removed = Client(common.url).send_delete("/~altiplano/aliases/" + pair->published);
        if (!removed)
            exit = report(common, removed.error());
        else
            print(common, removed->text, {{"removed", pair->published}});
    });
}

}  // namespace altiplano::cli
