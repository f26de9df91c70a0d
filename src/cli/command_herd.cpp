// Starts a herd on a node: a herder, which takes paid AI jobs, and workers, which do them.
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "cli/up/development.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

struct HerdOptions {
    std::string model;
    std::size_t workers = 1;
    std::string name = "herd";
    std::string token;
    std::vector<std::string> tags;
};

/// The newest module of that name. @return cli.bad_argument when there is none
Result<std::string> module_named(const Client& client, const std::string& name)
{
    TRY(const auto found, client.newest_item("Type=Module&Name=" + name));
    if (found)
        return *found;
    return fail(errors::bad_argument, fmt::format("the node has no module named {}", name),
        fmt::format("`altiplano put {}.wasm --module --name {}` stores one; `altiplano up` says when it has its own",
            name == "aos" ? "process" : name, name));
}

/// An id of an item as it is; a file is stored. Either way your wallet attests it: workers, which are yours, may open it then.
Result<std::string> model_of(const Client& client, const item::Signer& key, const std::string& model)
{
    auto id = model;
    if (!ItemId::parse(model)) {
        TRY(const auto header,
            file_header(key, model, {{"Content-Type", "application/octet-stream"}, {"Name", Path(model).stem().string()}}));
        TRY(id, put_file(client, model, header));
    }
    TRY(const auto attested,
        client.newest_item(fmt::format("Type=Attestation&Message={}&owner={}", escaped(id), key.address().text())));
    if (!attested)
        TRY_OK(attest(client, key, id));
    return id;
}

/// The token's process: named, or what stands for the published wAR here. A herder compares senders, so it needs the real id.
std::string token_of(const Client& client, const std::string& wanted)
{
    const auto aliases = client.aliases();
    const auto token = wanted.empty() ? std::string(published::war) : wanted;
    const auto found = std::ranges::find(aliases, token, &std::pair<std::string, std::string>::first);
    return found == aliases.end() ? token : found->second;
}

struct Herd {
    std::string herder;
    std::string model;
    std::string token;
    std::vector<std::string> workers;
    bool made = false;
};

Result<Herd> start(const HerdOptions& options, const Common& common)
{
    const Client client(common.url);
    TRY(const auto key, common.key());
    const auto me = key->address().text();
    TRY(const auto aos, module_named(client, "aos"));
    TRY(const auto llama, module_named(client, "llama"));
    Herd herd;
    herd.token = token_of(client, options.token);
    TRY(herd.model, model_of(client, *key, options.model));

    // A herd of yours with that name goes on; what is missing of its workers is added.
    TRY(const auto there,
        client.newest_item(fmt::format("Type=Process&Name={}&Herd=herder&owner={}", escaped(options.name), me)));
    if (there) {
        herd.herder = *there;
    } else {
        std::vector<item::Tag> tags{{"Name", options.name}, {"Herd", "herder"}, {"Token", herd.token}, {"On-Boot", "Data"}};
        for (const auto& text : options.tags) {
            TRY(auto tag, parse_tag(text));
            tags.push_back(std::move(tag));
        }
        TRY(const auto made, spawn(client, common, aos, tags, lua_text("packages/llama-herder/herder.lua")));
        herd.herder = made.process;
        herd.made = true;
    }
    for (std::size_t number = 1; number <= options.workers; ++number) {
        const auto name = fmt::format("{} worker {}", options.name, number);
        TRY(const auto known,
            client.newest_item(fmt::format("Type=Process&Name={}&Herder={}&Model={}&owner={}", escaped(name),
                escaped(herd.herder), escaped(herd.model), me)));
        if (known) {
            herd.workers.push_back(*known);
            continue;
        }
        // It registers with its first message. A herder hears only workers that its owner allowed, so it asks again then.
        TRY(const auto worker,
            spawn(client, common, llama,
                {{"Name", name}, {"Herder", herd.herder}, {"Model", herd.model}, {"Extension", "WeaveDrive"}, {"Attestor", me},
                    {"On-Boot", "Data"}},
                lua_text("packages/llama-herder/worker.lua")));
        TRY(const auto allowed,
            send(client, common, herd.herder,
                {{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}, {"Action", "Worker-Allow"},
                    {"Worker", worker.process}},
                ""));
        herd.workers.push_back(worker.process);
    }
    return herd;
}

void show(const Common& common, const Herd& herd)
{
    JsonWriter json;
    json.begin_object().member("herder", std::string_view(herd.herder)).member("made", herd.made);
    json.member("model", std::string_view(herd.model)).member("token", std::string_view(herd.token)).key("workers").begin_array();
    for (const auto& worker : herd.workers)
        json.string(worker);
    json.end_array().end_object();
    std::vector<std::pair<std::string, std::string>> lines{
        {"herder", herd.herder + (herd.made ? "" : "  (was there)")}, {"model", herd.model}, {"token", herd.token}};
    for (const auto& worker : herd.workers)
        lines.emplace_back("worker", worker);
    print(common, json.text(), lines);
}

}  // namespace

void add_herd_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<HerdOptions>();
    auto* const herd = app.add_subcommand("herd", "AI for hire: a herder that takes paid jobs, and its workers");
    herd->require_subcommand(1);
    auto* const starting = herd->add_subcommand("start", "makes a herd on the node, or adds workers to yours of that name");
    starting->add_option("--model", options->model, "a GGUF file, or the id of one that the node has")->required();
    starting->add_option("--workers", options->workers, "processes with the model; its weights are in memory once")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    starting->add_option("--name", options->name, "of the herd")->capture_default_str();
    starting->add_option("--token", options->token, "what jobs are paid in; by default the node's wAR");
    starting->add_option("--tag", options->tags, "Name=value of a new herder: Base-Fee, Token-Fee, Max-Queue, ...")
        ->allow_extra_args(false);
    starting->callback([options, &common, &exit] {
        if (const auto started = start(*options, common))
            show(common, *started);
        else
            exit = report(common, started.error());
    });
}

}  // namespace altiplano::cli
