#include "cli/up/development.hpp"

#include "base/hash.hpp"
#include "base/json.hpp"
#include "cli/lua_texts.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::cli {

std::string lua_text(std::string_view name)
{
    for (const auto& text : lua_texts())
        if (text.name == name)
            return std::string(text.text);
    ENSURE(false, "the program carries the texts that it names");
    return {};
}

namespace {

/// Signs items whose anchors follow from what they are for: the same item at every start.
class Signer {
public:
    Signer(const item::Signer& key, const Development::Options& options)
        : key_(key)
        , options_(options)
    {
    }

    Result<item::DataItem> item(const std::string& what, item::Tags tags, Buffer data) const
    {
        return item::build({.anchor = anchor(what), .tags = std::move(tags), .data = std::move(data)}, key_);
    }
    Result<item::DataItem> process(
        const std::string& name, const std::string& module, const std::vector<item::Tag>& more, const std::string& code) const
    {
        item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Process"}, {"Module", module},
            {"Scheduler", options_.scheduler.text()}, {"Authority", options_.authority.text()}, {"Name", name}};
        for (const auto& tag : more)
            tags.add(tag.name, tag.value);
        if (!code.empty())
            tags.add("On-Boot", "Data");
        return item(name, std::move(tags), to_buffer(std::string_view(code.empty() ? " " : code)));
    }
    Result<item::DataItem> message(const std::string& what, const std::string& target, const std::vector<item::Tag>& more,
        const std::string& data = " ") const
    {
        item::Tags tags{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"}};
        for (const auto& tag : more)
            tags.add(tag.name, tag.value);
        TRY(const auto to, Digest::parse(target));
        return item::build(
            {.target = to, .anchor = anchor(what), .tags = std::move(tags), .data = to_buffer(std::string_view(data))}, key_);
    }

private:
    static std::string anchor(const std::string& what)
    {
        const auto hash = sha256(as_bytes("altiplano up v1 " + what));
        return to_string(hash.bytes());
    }

    const item::Signer& key_;
    const Development::Options& options_;
};

Result<item::DataItem> module(const Signer& owner, Files& files, const Path& path, const std::string& name)
{
    TRY(auto bytes, read_file(files, path));
    return owner.item("module " + name,
        {{"Data-Protocol", "ao"}, {"Type", "Module"}, {"Variant", "ao.TN.1"}, {"Module-Format", "wasm64-wasi-altiplano_1"},
            {"Input-Encoding", "JSON-V1"}, {"Output-Encoding", "JSON-V1"}, {"Content-Type", "application/wasm"}, {"Name", name}},
        std::move(bytes));
}

std::string publication(
    std::string_view vendor, std::string_view name, std::string_view version, std::string_view about, const std::string& source)
{
    JsonWriter json;
    json.begin_object()
        .member("Name", name)
        .member("Vendor", vendor)
        .member("Version", version)
        .key("PackageData")
        .begin_object();
    json.member("Description", about).member("Main", "main.lua").key("Items").begin_array().begin_object();
    json.key("meta")
        .begin_object()
        .member("name", "main.lua")
        .end_object()
        .member("data", std::string_view(source))
        .end_object()
        .end_array();
    json.end_object().end_object();
    return json.text();
}

}  // namespace

item::Ed25519Signer development_wallet(std::string_view name)
{
    const auto seed = sha256(as_bytes(fmt::format("altiplano development wallet: {}", name)));
    std::array<std::byte, 32> bytes{};
    std::ranges::copy(seed.bytes(), bytes.begin());
    return item::Ed25519Signer(bytes);
}

std::string with_local_ids(std::string text, const std::vector<std::pair<std::string, std::string>>& aliases)
{
    for (const auto& [published, local] : aliases)
        for (std::size_t at = 0; (at = text.find(published, at)) != text.npos; at += local.size())
            text.replace(at, published.size(), local);
    return text;
}

Result<Development> Development::make(const Options& options, Files& files)
{
    Development made;
    const auto owner_key = development_wallet("owner"), sam_key = development_wallet("sam"),
               rakis_key = development_wallet("rakis");
    const Signer owner(owner_key, options), sam(sam_key, options), rakis(rakis_key, options);
    const auto send = [&](std::string what, Result<item::DataItem> item) -> Result<std::string> {
        TRY(auto signed_item, std::move(item));
        auto id = signed_item.id().text();
        made.first.messages.push_back({std::move(what), std::move(signed_item)});
        return id;
    };

    TRY(auto aos, module(owner, files, options.guest / "process.wasm", "aos"));
    made.aos_module = aos.id().text();
    made.first.items.push_back({"module aos", std::move(aos)});
    made.aliases.emplace_back(published::aos_module, made.aos_module);

    // Money first: whoever is spawned later may be paid at once. The token names its minter, which is then told of the token.
    TRY(made.faucet,
        send("faucet",
            owner.process("Faucet", made.aos_module, {{"Note", "test AR, no value"}}, lua_text("packages/faucet/faucet.lua"))));
    TRY(made.war,
        send("wAR",
            owner.process("Wrapped AR", made.aos_module,
                {{"Ticker", "wAR"}, {"Denomination", "12"}, {"Minter", made.faucet}, {"Note", "test AR, no value"}},
                lua_text("blueprints/token.lua"))));
    made.aliases.emplace_back(published::war, made.war);
    TRY_OK(send("", owner.message("token of the faucet", made.faucet, {{"Action", "Set-Token"}, {"Token", made.war}})));
    auto funded = options.funded;
    for (const std::string_view name : {"alice", "bob"})
        funded.push_back(development_wallet(name).address().text());
    for (const auto& address : funded)
        TRY_OK(send("test wAR",
            owner.message("fund " + address, made.faucet,
                {{"Action", "Fund"}, {"Recipient", address}, {"Quantity", "1000000000000000"}})));  // 1000 wAR

    TRY(made.registry,
        send("registry",
            owner.process("APM", made.aos_module, {},
                "package.preload.versions = function()\n" + lua_text("packages/apm/versions.lua") + "\nend\n"
                    + lua_text("packages/apm/registry.lua"))));
    made.aliases.emplace_back(published::registry_1, made.registry);
    made.aliases.emplace_back(published::registry_2, made.registry);

    if (!options.model_id.empty()) {
        TRY(auto llama, module(owner, files, options.guest / "llama.wasm", "llama"));
        made.llama_module = llama.id().text();
        made.later.items.push_back({"module llama", std::move(llama)});
        made.aliases.emplace_back(published::llama_module, made.llama_module);
        made.aliases.emplace_back(published::model, options.model_id);
        made.model = options.model_id;
    }
    TRY(made.herder,
        send("herder",
            owner.process("Llama Herder", made.aos_module, {{"Token", made.war}}, lua_text("packages/llama-herder/herder.lua"))));
    made.aliases.emplace_back(published::herder, made.herder);
    for (std::size_t number = 1; !options.model_id.empty() && number <= options.workers; ++number) {
        const auto name = fmt::format("Llama Worker {}", number);
        TRY(auto worker,
            owner.process(name, made.llama_module,
                {{"Herder", made.herder}, {"Model", options.model_id}, {"Extension", "WeaveDrive"},
                    {"Attestor", owner_key.address().text()}},
                lua_text("packages/llama-herder/worker.lua")));
        const auto id = worker.id().text();
        TRY(auto allow, owner.message("allow " + name, made.herder, {{"Action", "Worker-Allow"}, {"Worker", id}}));
        made.later.messages.push_back({"worker", std::move(worker)});
        made.later.messages.push_back({"allow worker", std::move(allow)});
        made.workers.push_back(id);
    }

    // Packages, with the ids of this node in them.
    TRY_OK(send("", sam.message("vendor sam", made.registry, {{"Action", "APM.RegisterVendor"}}, "@sam")));
    TRY_OK(send("package @apm/apm",
        owner.message("publish apm 1.1.0 for " + made.registry, made.registry, {{"Action", "APM.Publish"}},
            publication("@apm", "apm", "1.1.0", "the client of the package manager",
                with_local_ids(lua_text("blueprints/apm.lua"), made.aliases)))));
    TRY_OK(send("package @sam/Llama-Herder",
        sam.message("publish Llama-Herder 1.0.3 for " + made.herder, made.registry, {{"Action", "APM.Publish"}},
            publication("@sam", "Llama-Herder", "1.0.3", "asks a herd of AI workers",
                with_local_ids(lua_text("packages/llama-herder/client.lua"), made.aliases)))));
    TRY_OK(send("", rakis.message("vendor rakis", made.registry, {{"Action", "APM.RegisterVendor"}}, "@rakis")));
    TRY_OK(send("package @rakis/DbAdmin",
        rakis.message("publish DbAdmin 0.0.1 for " + made.registry, made.registry, {{"Action", "APM.Publish"}},
            publication("@rakis", "DbAdmin", "0.0.1", "SQLite with less typing", lua_text("packages/db-admin/main.lua")))));
    TRY_OK(send("package @rakis/WeaveDrive",
        rakis.message("publish WeaveDrive 0.0.2 for " + made.registry, made.registry, {{"Action", "APM.Publish"}},
            publication("@rakis", "WeaveDrive", "0.0.2", "blocks, transactions and data of the weave",
                lua_text("packages/weavedrive/main.lua")))));
    return made;
}

}  // namespace altiplano::cli
