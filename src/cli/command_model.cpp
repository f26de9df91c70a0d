// Models: GGUF files as items that processes open at /data/<id>. A file of this machine is not copied: the data folder gets a
// name for it.
#include "base/base64url.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "cli/gguf.hpp"
#include "node/data_folder.hpp"
#include "store/references.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

constexpr const char* hash_tag = "Data-SHA-256";

struct ModelOptions {
    std::vector<std::string> files;
    std::string name;
    std::string data;
    std::string id;
    bool copy = false;
    bool no_attest = false;
    bool force = false;
};

Result<node::DataFolder> folder_of(const Client& client, const std::string& given)
{
    auto data = given;
    if (data.empty()) {
        // A node on this machine says where its folder is.
        TRY(const auto status, client.get("/~altiplano/status"));
        data = status.field("data");
    }
    node::DataFolder folder{data};
    if (auto known = folder.check(system_files()); !known)
        return fail(errors::bad_argument, fmt::format("the node's data folder {} is not here: {}", data, known.error().sentence),
            "with --copy the model is sent to the node instead");
    return folder;
}

item::Tags tags_of(const Gguf& model, const std::string& name, const std::string& hash)
{
    item::Tags tags{{"Content-Type", "application/x-gguf"}, {"Type", "Model"}, {hash_tag, hash}};
    const auto add = [&](const char* tag, const std::string& value) {
        if (!value.empty())
            tags.add(tag, value);
    };
    add("Name", name.empty() ? model.value("general.name") : name);
    const auto architecture = model.value("general.architecture");
    add("Architecture", architecture);
    add("Context-Length", model.value(architecture + ".context_length"));
    add("Parameters", std::to_string(model.weights));
    add("Chat", model.value("tokenizer.chat_template").empty() ? "no" : "yes");
    add("License", model.value("general.license"));
    if (const auto [part, parts] = model.part(); parts > 1)
        add("Part", fmt::format("{} of {}", part, parts));
    return tags;
}

Result<std::string> add_file(const Client& client, const Common& common, const ModelOptions& options, const std::string& path)
{
    TRY(const auto file, system_files().open(path, Files::Mode::read));
    TRY(const auto model, read_gguf(*file));
    TRY(const auto hash, store::sha256_of(*file, options.copy ? store::Cached::as_it_lies : store::Cached::in_large_pieces));
    TRY(const auto key, common.key());
    TRY(const auto header, file_header(*key, path, tags_of(model, options.name, hex(hash.bytes()))));
    std::string id;
    if (options.copy) {
        TRY(id, put_file(client, path, header));
    } else {
        TRY(const auto folder, folder_of(client, options.data));
        TRY(const auto blobs, store::Blobs::open_to_read(system_files(), folder.blobs()));
        TRY_OK(store::refer(system_files(), *blobs, std::filesystem::canonical(path), hash));
        const auto wire = header.wire();
        TRY(const auto stored, client.post("/blob/" + hex(hash.bytes()), wire));
        id = stored.field("id");
    }
    if (!options.no_attest)
        TRY_OK(attest(client, *key, id));
    return id;
}

struct Item {
    std::string id, owner, size;
    std::vector<std::pair<std::string, std::string>> tags;
    std::string tag(std::string_view name) const
    {
        const auto found = std::ranges::find(tags, name, &std::pair<std::string, std::string>::first);
        return found == tags.end() ? std::string() : found->second;
    }
};

/// The newest items that a filter of GraphQL gives.
Result<std::vector<Item>> items_of(const Client& client, const std::string& filter)
{
    JsonWriter ask;
    const auto query = fmt::format(
        "{{transactions(first:1000,{}){{edges{{node{{id owner{{address}} data{{size}} tags{{name value}}}}}}}}}}", filter);
    ask.begin_object().member("query", std::string_view(query)).end_object();
    TRY(const auto answer, client.post("/graphql", as_bytes(ask.text())));
    TRY(const auto view, answer.view());
    const auto data = view.find("data");
    const auto found = data ? data->find("transactions") : std::nullopt;
    const auto edges = found ? found->find("edges") : std::nullopt;
    if (!edges)
        return fail(errors::bad_answer, fmt::format("the node's answer has no list of items: {}", answer.text));
    const auto text = [](const std::optional<JsonView>& value) { return value ? value->text().value_or("") : std::string(); };
    std::vector<Item> items;
    for (const auto& edge : edges->elements()) {
        const auto node = edge.find("node");
        if (!node)
            continue;
        Item one{.id = text(node->find("id")), .owner = {}, .size = {}, .tags = {}};
        if (const auto owner = node->find("owner"))
            one.owner = text(owner->find("address"));
        if (const auto size = node->find("data"))
            one.size = text(size->find("size"));
        if (const auto tags = node->find("tags"))
            for (const auto& tag : tags->elements())
                one.tags.emplace_back(text(tag.find("name")), text(tag.find("value")));
        items.push_back(std::move(one));
    }
    return items;
}

Result<Item> model_of(const Client& client, const std::string& id)
{
    TRY(const auto known, ItemId::parse(id));
    TRY(auto items, items_of(client, fmt::format("ids:[\"{}\"]", known.text())));
    if (items.empty())
        return fail(errors::bad_argument, fmt::format("the node has no item {}", id), "`altiplano model ls` lists its models");
    return std::move(items.front());
}

/// Processes that name the model in their tags. Those that load one by a message are not known from outside.
Result<std::vector<Item>> processes_of(const Client& client, const std::string& model)
{
    const auto named = model.empty() ? std::string() : fmt::format(",{{name:\"Model\",values:[\"{}\"]}}", model);
    TRY(auto items, items_of(client, fmt::format("tags:[{{name:\"Type\",values:[\"Process\"]}}{}]", named)));
    std::erase_if(items, [](const Item& one) { return one.tag("Model").empty(); });
    return items;
}

Result<void> remove(const Client& client, const ModelOptions& options)
{
    TRY(const auto model, model_of(client, options.id));
    TRY(const auto bytes, from_hex(model.tag(hash_tag)));
    TRY(const auto hash, Digest::from_bytes(bytes));
    TRY(const auto users, processes_of(client, options.id));
    if (!users.empty() && !options.force)
        return fail(errors::bad_argument,
            fmt::format(
                "{} process{} this model, {} among them", users.size(), users.size() == 1 ? " uses" : "es use", users.front().id),
            "without the model their messages wait; --force removes it all the same");
    TRY(const auto folder, folder_of(client, options.data));
    TRY(const auto blobs, store::Blobs::open_to_read(system_files(), folder.blobs()));
    return store::forget(system_files(), *blobs, hash);
}

void write_item(JsonWriter& json, const Item& one)
{
    json.begin_object()
        .member("id", std::string_view(one.id))
        .member("size", std::string_view(one.size))
        .member("owner", std::string_view(one.owner));
    json.key("tags").begin_object();
    for (const auto& [name, value] : one.tags)
        json.member(name, std::string_view(value));
    json.end_object().end_object();
}

/// What a list of items is printed as.
void print_items(
    const Common& common, const Result<std::vector<Item>>& items, Exit& exit, const std::function<std::string(const Item&)>& line)
{
    if (!items) {
        exit = report(common, items.error());
        return;
    }
    JsonWriter json;
    json.begin_array();
    std::vector<std::pair<std::string, std::string>> lines;
    for (const auto& one : *items) {
        write_item(json, one);
        lines.emplace_back(one.id, line(one));
    }
    json.end_array();
    print(common, json.text(), lines);
}

}  // namespace

void add_model_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto* const model = app.add_subcommand("model", "language models that processes may open");
    model->require_subcommand(1);
    auto options = std::make_shared<ModelOptions>();

    auto* const add = model->add_subcommand(
        "add", "makes GGUF files known to a node of this machine, where they lie; parts of a split model in order");
    add->add_option("files", options->files)->required();
    add->add_option("--name", options->name, "becomes the tag Name; by default the file's own");
    add->add_flag("--copy", options->copy, "send the bytes to the node instead, which may be elsewhere");
    add->add_flag("--no-attest", options->no_attest, "do not let processes that trust your wallet open it");
    add->add_option("--data", options->data, "the node's data folder; by default the one of the node at --url");
    add->callback([options, &common, &exit] {
        JsonWriter json;
        json.begin_array();
        std::vector<std::pair<std::string, std::string>> lines;
        for (const auto& path : options->files) {
            const auto id = add_file(Client(common.url), common, *options, path);
            if (!id) {
                exit = report(common, id.error(), fmt::format("nothing of {}; what came before it is stored", path));
                return;
            }
            json.begin_object().member("id", std::string_view(*id)).member("file", std::string_view(path)).end_object();
            lines.emplace_back("model", *id);
        }
        json.end_array();
        print(common, json.text(), lines);
    });

    model->add_subcommand("ls", "models of the node")->callback([&common, &exit] {
        print_items(common, items_of(Client(common.url), R"(tags:[{name:"Type",values:["Model"]}])"), exit, [](const Item& one) {
            return fmt::format("{}  {}  {} bytes  {}", one.tag("Name"), one.tag("Architecture"), one.size, one.tag("Part"));
        });
    });

    auto* const show = model->add_subcommand("show", "what is known of a model");
    show->add_option("id", options->id)->required();
    show->callback([options, &common, &exit] {
        const auto found = model_of(Client(common.url), options->id);
        if (!found) {
            exit = report(common, found.error());
            return;
        }
        JsonWriter json;
        write_item(json, *found);
        std::vector<std::pair<std::string, std::string>> lines{{"id", found->id}, {"size", found->size}, {"owner", found->owner}};
        lines.insert(lines.end(), found->tags.begin(), found->tags.end());
        print(common, json.text(), lines);
    });

    auto* const ps = model->add_subcommand("ps", "processes that name a model, or one model, in their tags");
    ps->add_option("id", options->id);
    ps->callback([options, &common, &exit] {
        print_items(common, processes_of(Client(common.url), options->id), exit,
            [](const Item& one) { return fmt::format("{}  {}", one.tag("Model"), one.tag("Name")); });
    });

    auto* const rm =
        model->add_subcommand("rm", "takes back what `add` did; the file stays, and so does the item without its data");
    rm->add_option("id", options->id)->required();
    rm->add_flag("--force", options->force, "though processes use it");
    rm->add_option("--data", options->data, "the node's data folder; by default the one of the node at --url");
    rm->callback([options, &common, &exit] {
        if (const auto done = remove(Client(common.url), *options); !done) {
            exit = report(common, done.error(), "the model is as it was");
            return;
        }
        JsonWriter json;
        json.begin_object().member("removed", std::string_view(options->id)).end_object();
        print(common, json.text(), {{"removed", options->id}});
    });

    auto* const verify = model->add_subcommand("verify", "has the node read all of a model and check it against its id");
    verify->add_option("id", options->id)->required();
    verify->callback([options, &common, &exit] {
        const auto answer = Client(common.url).post("/check/" + options->id, Bytes{});
        if (!answer) {
            exit = report(common, answer.error());
            return;
        }
        print(common, answer->text, {{"valid", options->id}});
    });
}

}  // namespace altiplano::cli
