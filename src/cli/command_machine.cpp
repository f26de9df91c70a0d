// What a node offers to processes, and what it takes for them.
#include "base/json.hpp"
#include "cli/commands.hpp"

namespace altiplano::cli {

namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

void add_members(Lines& lines, const JsonView& view, const std::string& before)
{
    for (const auto& [name, value] : view.members())
        if (value.kind() == JsonView::Kind::object)
            add_members(lines, value, before + std::string(name) + " ");
        else
            lines.emplace_back(before + std::string(name), value.text().value_or(std::string(value.raw())));
}

Result<void> show(const Common& common, const std::string& path)
{
    TRY(const auto answer, Client(common.url).get(path));
    TRY(const auto view, answer.view());
    Lines lines;
    add_members(lines, view, {});
    print(common, answer.text, lines);
    return {};
}

}  // namespace

void add_machine_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto* const offer =
        app.add_subcommand("offer", "what the node offers to processes: memory, gas, turns; and what it uses now");
    offer->callback([&common, &exit] {
        if (const auto done = show(common, "/~altiplano/offer"); !done)
            exit = report(common, done.error());
    });
    auto process = std::make_shared<std::string>();
    auto* const disk = app.add_subcommand("disk", "what the node takes on disk, by part; or what the images of one process take");
    disk->add_option("process", *process, "a process's id");
    disk->callback([process, &common, &exit] {
        if (const auto done = show(common, "/~altiplano/disk" + (process->empty() ? "" : "/" + *process)); !done)
            exit = report(common, done.error());
    });
}

}  // namespace altiplano::cli
