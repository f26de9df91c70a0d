#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/console/console.hpp"
#include "cli/errors.hpp"

#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

struct ConsoleOptions {
    std::string who;
    std::string module;
    std::string load;
    std::string run;
    std::vector<std::string> tags;
    std::string cron;
};

/// The module that a new process runs: named, or the node's newest that says it is one of ours for Lua.
Result<std::string> module_for(const Client& client, const std::string& wanted)
{
    if (!wanted.empty() && ItemId::parse(wanted))
        return wanted;
    for (const auto& name : wanted.empty() ? std::vector<std::string>{"aos", "process"} : std::vector<std::string>{wanted}) {
        TRY(const auto found, client.newest_item("Type=Module&Name=" + escaped(name)));
        if (found)
            return *found;
    }
    return fail(errors::bad_argument,
        wanted.empty() ? "the node has no module for a console" : fmt::format("the node has no module named '{}'", wanted),
        "`altiplano put build/guest/process.wasm --module --name aos` stores one");
}

/// An id is taken as it is; a name is looked for among the processes of this wallet, and made when it is not there.
Result<std::string> process_for(const Client& client, const Common& common, const ConsoleOptions& options)
{
    if (ProcessId::parse(options.who))
        return options.who;
    const auto name = options.who.empty() ? "default" : options.who;
    TRY(const auto key, common.key());
    TRY(const auto there, client.newest_item(fmt::format("Type=Process&Name={}&owner={}", escaped(name), key->address().text())));
    if (there)
        return *there;
    TRY(const auto module, module_for(client, options.module));
    std::vector<item::Tag> tags{{"App-Name", "aos"}, {"Name", name}};
    for (const auto& text : options.tags) {
        TRY(auto tag, parse_tag(text));
        tags.push_back(std::move(tag));
    }
    if (!options.cron.empty()) {
        tags.push_back({"Cron-Interval", options.cron});
        tags.push_back({"Cron-Tag-Action", "Cron"});
    }
    TRY(const auto made, spawn(client, common, module, tags, ""));
    return made.process;
}

std::string history_file()
{
    const auto folder = Path(environment_or("XDG_STATE_HOME", environment_or("HOME", ".") + "/.local/state")) / "altiplano";
    return system_files().make_directories(folder) ? (folder / "console_history").string() : "";
}

Result<void> run(const ConsoleOptions& options, const Common& common, Exit& exit)
{
    const Client client(common.url);
    TRY(const auto process, process_for(client, common, options));
    Session session(common, process);
    if (!options.run.empty()) {
        TRY(const auto reply, session.eval(options.run));
        std::puts(shown(reply.text, colours()).c_str());
        if (reply.failed)
            exit = Exit::failure;
        return {};
    }
    Terminal terminal(history_file());
    if (terminal.interactive())
        fmt::print("Altiplano console. Your process: {}\n.help lists the commands, .exit leaves.\n\n", process);
    Console console(session, terminal, system_files());
    return console.run();
}

}  // namespace

void add_console_command(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<ConsoleOptions>();
    auto* const command = app.add_subcommand("console", "talks to a process: lines are Lua, messages appear as they arrive");
    command->add_option("process", options->who, "the name or the id of a process; a name that is not there yet is spawned");
    command->add_option("--module", options->module, "id or name of the module of a new process");
    command->add_option("--run", options->run, "evaluate this and end");
    command->add_option("--tag", options->tags, "Name=value of a new process, any number")->allow_extra_args(false);
    command->add_option("--cron", options->cron, "a new process wakes in this interval, as 10-seconds");
    command->callback([options, &common, &exit] {
        if (const auto done = run(*options, common, exit); !done)
            exit = report(common, done.error());
    });
}

}  // namespace altiplano::cli
