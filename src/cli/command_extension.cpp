// Extensions that others wrote: stored like any item, offered by the operator's own act.
#include "announced/accelerator.hpp"
#include "announced/announcement.hpp"
#include "base/base64url.hpp"
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "node/data_folder.hpp"
#include "node/offered.hpp"

#include <filesystem>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

struct ExtensionOptions {
    std::string what;
    std::string data;
    std::string name;
    std::string version = "1";
    std::vector<std::string> functions;
    std::string library;
};

Result<node::Offered> offered_of(const Client& client, const ExtensionOptions& options)
{
    auto data = options.data;
    if (data.empty()) {
        // A node on this machine says where its folder is.
        TRY(const auto status, client.get("/~altiplano/status"));
        data = status.field("data");
    }
    const node::DataFolder folder{data};
    TRY_OK(folder.check(system_files()));
    return node::Offered(system_files(), folder.extensions());
}

/// Announces a reference module: an item that anybody's node can offer by its id.
Result<ItemId> announce(const Client& client, const Common& common, const ExtensionOptions& options)
{
    TRY(auto wasm, read_file(system_files(), options.what));
    item::Tags tags{{"Data-Protocol", "Altiplano"}, {"Type", "Extension"}, {"Name", options.name}, {"Version", options.version},
        {"Content-Type", "application/wasm"}};
    for (const auto& function : options.functions)
        tags.add("Function", function);
    TRY_OK(announced::read(tags, wasm));
    TRY(const auto key, common.key());
    TRY(const auto item, item::build({.tags = std::move(tags), .data = std::move(wasm)}, *key));
    TRY_OK(client.post("/tx", item.wire()));
    return item.id();
}

/// What an item of the node's weave announces.
Result<announced::Announcement> announced_by(const Client& client, const ItemId& id)
{
    item::Tags tags;
    TRY(const auto told, client.get("/tx/" + id.text()));
    TRY(const auto header, told.view());
    if (const auto list = header.find("tags"))
        for (const auto& tag : list->elements()) {
            const auto part = [&](std::string_view name) {
                const auto text = tag.find(name) ? tag.find(name)->text() : std::nullopt;
                const auto bytes = from_base64url(text.value_or(""));
                return bytes ? to_string(*bytes) : std::string();
            };
            tags.add(part("name"), part("value"));
        }
    Buffer wasm;
    TRY_OK(client.download("/raw/" + id.text(), [&](Bytes piece) -> Result<void> {
        if (wasm.size() + piece.size() > announced::module_bytes_max)
            return fail(errors::bad_argument, fmt::format("{} is no extension: it is too long", id.text()));
        append(wasm, piece);
        return {};
    }));
    return announced::read(tags, wasm);
}

Result<ItemId> add(const Client& client, const Common& common, const ExtensionOptions& options)
{
    TRY(const auto offered, offered_of(client, options));
    auto id = ItemId::parse(options.what);
    if (!id)
        id = announce(client, common, options);
    if (!id)
        return std::unexpected(id.error());
    // Somebody else's is looked at before it is offered.
    TRY_OK(announced_by(client, *id));
    TRY_OK(offered.add(*id));
    return *id;
}

/// Where workers look for native code of an extension.
Result<Path> accelerator_path(const Client& client, const ExtensionOptions& options)
{
    auto data = options.data;
    if (data.empty()) {
        TRY(const auto status, client.get("/~altiplano/status"));
        data = status.field("data");
    }
    TRY(const auto id, ItemId::parse(options.what));
    TRY(const auto what, announced_by(client, id));
    if (!options.library.empty()) {
        TRY_OK(announced::Accelerator::load(std::filesystem::absolute(options.library).string(), what));
    }
    return Path(data) / "accelerators" / (what.specification.text() + ".so");
}

Result<Path> accelerate(const Client& client, const ExtensionOptions& options)
{
    TRY(auto path, accelerator_path(client, options));
    TRY(const auto library, read_file(system_files(), options.library));
    TRY_OK(system_files().make_directories(path.parent_path()));
    TRY_OK(system_files().set_private(path.parent_path()));
    TRY_OK(write_file(system_files(), path, library));
    // Another library: what was found of the one before says nothing of it.
    TRY_OK(system_files().remove(Path(path).replace_extension(".alarm")));
    return path;
}

}  // namespace

void add_extension_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto* const extension =
        app.add_subcommand("extension", "what processes here may use beside their module: docs/extensions.md");
    extension->require_subcommand(1);
    auto options = std::make_shared<ExtensionOptions>();
    const auto folder = [&](CLI::App& command) {
        command.add_option("--data", options->data, "the node's data folder; by default the one of the node at --url");
    };

    auto* const adding = extension->add_subcommand("add", "offers an extension to new processes: an item's id, or a wasm file");
    adding->add_option("what", options->what, "ID or FILE")->required();
    adding->add_option("--name", options->name, "of a file: what guests import from");
    adding->add_option("--version", options->version, "of a file")->capture_default_str();
    adding->add_option("--function", options->functions, "of a file: 'match/6 = 2000 + 16*2', any number")
        ->allow_extra_args(false);
    folder(*adding);
    adding->callback([options, &common, &exit] {
        const auto id = add(Client(common.url), common, *options);
        if (!id) {
            exit = report(common, id.error(), "nothing: the extension is not offered");
            return;
        }
        print(common, JsonWriter().begin_object().member("id", std::string_view(id->text())).end_object().text(),
            {{"extension", id->text()}, {"ask for it", fmt::format("spawn with the tag Extension={}", id->text())}});
    });

    auto* const accelerating = extension->add_subcommand("accelerate",
        "has native code of this machine's do what an extension's reference module does, compared with it; FILE is trusted like "
        "the node");
    accelerating->add_option("id", options->what, "of the item")->required();
    accelerating->add_option("library", options->library, "a shared library: include/altiplano/extension.h")->required();
    folder(*accelerating);
    accelerating->callback([options, &common, &exit] {
        const auto path = accelerate(Client(common.url), *options);
        if (!path) {
            exit = report(common, path.error(), "nothing: the extension runs as wasm");
            return;
        }
        print(common, JsonWriter().begin_object().member("accelerator", std::string_view(path->string())).end_object().text(),
            {{"accelerator", path->string()}, {"used by", "workers that start from now on"}});
    });

    auto* const slowing = extension->add_subcommand("slow", "the extension runs as wasm only again");
    slowing->add_option("id", options->what, "of the item")->required();
    folder(*slowing);
    slowing->callback([options, &common, &exit] {
        const auto removed = [&]() -> Result<void> {
            TRY(const auto path, accelerator_path(Client(common.url), *options));
            TRY_OK(system_files().remove(Path(path).replace_extension(".alarm")));
            return system_files().remove(path);
        }();
        if (!removed) {
            exit = report(common, removed.error());
            return;
        }
        print(common, JsonWriter().begin_object().member("removed", true).end_object().text(), {{"removed", "yes"}});
    });

    auto* const removing = extension->add_subcommand("rm", "no longer offers it; processes that have it keep it");
    removing->add_option("id", options->what, "of the item")->required();
    folder(*removing);
    removing->callback([options, &common, &exit] {
        const auto removed = [&]() -> Result<bool> {
            TRY(const auto id, ItemId::parse(options->what));
            TRY(const auto offered, offered_of(Client(common.url), *options));
            return offered.remove(id);
        }();
        if (!removed) {
            exit = report(common, removed.error());
            return;
        }
        print(common, JsonWriter().begin_object().member("removed", *removed).end_object().text(),
            {{"removed", *removed ? "yes" : "it was not offered"}});
    });

    extension->add_subcommand("ls", "those that the node at --url has")->callback([&common, &exit] {
        const auto answer = Client(common.url).get("/extensions");
        const auto view = answer ? answer->view() : std::unexpected(answer.error());
        if (!view) {
            exit = report(common, view.error());
            return;
        }
        std::vector<std::pair<std::string, std::string>> lines;
        for (const auto& one : view->elements()) {
            const auto text = [&](std::string_view name) {
                return one.find(name) ? one.find(name)->text().value_or("") : std::string();
            };
            lines.emplace_back(
                fmt::format("{} {}", text("name"), text("version")), text("id").empty() ? "this program's" : text("id"));
        }
        print(common, answer->text, lines);
    });
}

}  // namespace altiplano::cli
