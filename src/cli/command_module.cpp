#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "vm/format.hpp"

#include <fmt/format.h>

namespace altiplano::cli {

namespace {

struct AddOptions {
    std::string file;
    std::string format = "wasm64-unknown-emscripten-draft_2024_02_15";
    std::string name;
    std::string memory = "1-gb";
    std::string compute = "9000000000000";
    std::vector<std::string> tags;
    std::vector<std::string> aliases;
};

/// A module item as AO's own tool publishes them (ao-protocol.md 2.4).
Result<std::string> add_module(const Client& client, const Common& common, const AddOptions& options)
{
    if (vm::format_named(options.format) == nullptr)
        return fail(errors::bad_argument, fmt::format("there is no Module-Format {}", options.format),
            "`altiplano module formats` lists those that this program runs");
    TRY(auto wasm, read_file(system_files(), options.file));
    if (!as_text(wasm).starts_with(std::string_view("\0asm", 4)))
        return fail(errors::bad_argument, fmt::format("{} is no wasm module", options.file));
    item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Module"}, {"Module-Format", options.format},
        {"Input-Encoding", "JSON-1"}, {"Output-Encoding", "JSON-1"}, {"Memory-Limit", options.memory},
        {"Compute-Limit", options.compute}, {"Content-Type", "application/wasm"}};
    if (!options.name.empty())
        tags.add("Name", options.name);
    for (const auto& text : options.tags) {
        TRY(auto tag, parse_tag(text));
        tags.add(std::move(tag.name), std::move(tag.value));
    }
    TRY(const auto key, common.key());
    TRY(const auto module, item::build({.tags = std::move(tags), .data = std::move(wasm)}, *key));
    TRY(const auto stored, client.post("/tx", module.wire()));
    for (const auto& published : options.aliases)
        TRY_OK(add_alias(client, published, module.id().text()));
    return module.id().text();
}

struct Module {
    std::string id;
    std::string format;
    std::string name;
};

/// The newest modules of the node's weave.
Result<std::vector<Module>> modules_of(const Client& client)
{
    JsonWriter ask;
    ask.begin_object()
        .member("query",
            std::string_view(
                R"({transactions(first:100,tags:[{name:"Data-Protocol",values:["ao"]},{name:"Type",values:["Module"]}]))"
                R"({edges{node{id tags{name value}}}}})"))
        .end_object();
    TRY(const auto answer, client.post("/graphql", as_bytes(ask.text())));
    TRY(const auto view, answer.view());
    std::vector<Module> modules;
    const auto data = view.find("data");
    const auto found = data ? data->find("transactions") : std::nullopt;
    const auto edges = found ? found->find("edges") : std::nullopt;
    if (!edges)
        return fail(errors::bad_answer, fmt::format("the node's answer has no list of modules: {}", answer.text));
    for (const auto& edge : edges->elements()) {
        Module one;
        const auto node = edge.find("node");
        if (!node)
            continue;
        if (const auto id = node->find("id"))
            one.id = id->text().value_or("");
        if (const auto tags = node->find("tags"))
            for (const auto& tag : tags->elements()) {
                const auto name = tag.find("name");
                const auto value = tag.find("value");
                if (!name || !value)
                    continue;
                if (name->text() == "Module-Format")
                    one.format = value->text().value_or("");
                if (name->text() == "Name")
                    one.name = value->text().value_or("");
            }
        modules.push_back(std::move(one));
    }
    return modules;
}

}  // namespace

void add_module_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto* const module = app.add_subcommand("module", "wasm modules that processes are made of");
    module->require_subcommand(1);

    auto options = std::make_shared<AddOptions>();
    auto* const add = module->add_subcommand("add", "stores a wasm file as a module");
    add->add_option("file", options->file)->required();
    add->add_option("--format", options->format, "its Module-Format")->capture_default_str();
    add->add_option("--name", options->name, "becomes the tag Name");
    add->add_option("--memory-limit", options->memory, "what its processes may have unless they say otherwise")
        ->capture_default_str();
    add->add_option("--compute-limit", options->compute, "gas of a message, the same")->capture_default_str();
    add->add_option("--tag", options->tags, "Name=value, any number")->allow_extra_args(false);
    add->add_option("--alias", options->aliases, "a published module's id that it stands for here, any number")
        ->allow_extra_args(false);
    add->callback([options, &common, &exit] {
        const auto id = add_module(Client(common.url), common, *options);
        if (!id) {
            exit = report(common, id.error(), "nothing: the module was not stored");
            return;
        }
        JsonWriter json;
        json.begin_object().member("id", std::string_view(*id)).member("format", std::string_view(options->format)).end_object();
        print(common, json.text(), {{"module", *id}, {"format", options->format}});
    });

    module->add_subcommand("ls", "modules of the node, the newest hundred")->callback([&common, &exit] {
        const auto modules = modules_of(Client(common.url));
        if (!modules) {
            exit = report(common, modules.error());
            return;
        }
        JsonWriter json;
        json.begin_array();
        std::vector<std::pair<std::string, std::string>> lines;
        for (const auto& [id, format, name] : *modules) {
            json.begin_object()
                .member("id", std::string_view(id))
                .member("format", std::string_view(format))
                .member("name", std::string_view(name))
                .end_object();
            lines.emplace_back(id, name.empty() ? format : fmt::format("{}  {}", format, name));
        }
        json.end_array();
        print(common, json.text(), lines);
    });

    module->add_subcommand("formats", "what Module-Format may say")->callback([&common] {
        JsonWriter json;
        json.begin_array();
        std::vector<std::pair<std::string, std::string>> lines;
        for (const auto& format : vm::formats()) {
            json.string(format.name);
            lines.emplace_back(std::string(format.name),
                format.abi == vm::Format::Abi::wasi                 ? "ours"
                    : format.metering == vm::Format::Metering::none ? "AO"
                                                                    : "AO, with GasUsed");
        }
        json.end_array();
        print(common, json.text(), lines);
    });
}

}  // namespace altiplano::cli
