#include "base/json.hpp"
#include "base/random.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"
#include "item/deep_hash.hpp"

#include <fmt/format.h>

namespace altiplano::cli {

namespace {

struct PutOptions {
    std::string file;
    bool attest = false;
    bool module = false;
    std::string format = "wasm64-wasi-altiplano_1";
    std::string name;
    std::string type;
    std::vector<std::string> tags;
};

Result<item::Tags> tags_of(const PutOptions& options)
{
    item::Tags tags;
    if (options.module)
        tags = {{"Data-Protocol", "ao"}, {"Type", "Module"}, {"Variant", "ao.TN.1"}, {"Module-Format", options.format},
            {"Input-Encoding", "JSON-V1"}, {"Output-Encoding", "JSON-V1"}};
    tags.add("Content-Type",
        !options.type.empty() ? options.type
            : options.module  ? "application/wasm"
                              : "application/octet-stream");
    if (!options.name.empty())
        tags.add("Name", options.name);
    for (const auto& text : options.tags) {
        TRY(auto tag, parse_tag(text));
        tags.add(std::move(tag.name), std::move(tag.value));
    }
    return tags;
}

}  // namespace

Result<item::Header> file_header(const item::Signer& key, const Path& path, item::Tags tags, std::string anchor)
{
    TRY(const auto file, system_files().open(path, Files::Mode::read));
    TRY(const auto size, file->size());
    Sha384Hasher hasher;
    Buffer step(1 << 20);
    for (std::uint64_t at = 0; at < size;) {
        TRY(const auto got, file->read_at(at, step));
        if (got == 0)
            return fail(errors::bad_argument, fmt::format("{} became shorter while it was read", path.string()));
        hasher.update(Bytes(step).first(got));
        at += got;
    }
    return item::build_header(
        {.anchor = std::move(anchor), .tags = std::move(tags)}, item::deep_hash_blob(size, hasher.finish()), key);
}

Result<std::string> put_file(const Client& client, const Path& path, const item::Header& header)
{
    TRY(const auto file, system_files().open(path, Files::Mode::read));
    TRY(const auto size, file->size());
    std::uint64_t sent = 0;
    const auto front = header.wire();
    TRY(const auto answer, client.post("/tx", front.size() + size, [&](std::span<std::byte> into) -> Result<std::size_t> {
        std::size_t got = 0;
        if (sent < front.size()) {
            got = std::min(into.size(), front.size() - static_cast<std::size_t>(sent));
            std::copy_n(front.begin() + static_cast<std::ptrdiff_t>(sent), got, into.begin());
        } else {
            const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), front.size() + size - sent));
            TRY(got, file->read_at(sent - front.size(), into.first(room)));
        }
        sent += got;
        return got;
    }));
    return answer.field("id");
}

Result<void> attest(const Client& client, const item::Signer& key, const std::string& id)
{
    TRY(const auto statement,
        item::build({.tags = {{"Data-Protocol", "ao"}, {"Type", "Attestation"}, {"Variant", "ao.TN.1"}, {"Message", id}}}, key));
    TRY(const auto stored, client.post("/tx", statement.wire()));
    return {};
}

void add_item_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto options = std::make_shared<PutOptions>();
    auto* const put = app.add_subcommand("put", "stores a file as a data item, signed by your wallet");
    put->add_option("file", options->file)->required();
    put->add_flag("--attest", options->attest, "let processes that trust your wallet open it (WeaveDrive)");
    put->add_flag("--module", options->module, "it is the wasm of a module");
    put->add_option("--format", options->format, "of a module")->capture_default_str();
    put->add_option("--name", options->name, "becomes the tag Name");
    put->add_option("--content-type", options->type);
    put->add_option("--tag", options->tags, "Name=value, any number")->allow_extra_args(false);
    put->callback([options, &common, &exit] {
        const Client client(common.url);
        const auto id = [&]() -> Result<std::string> {
            TRY(const auto key, common.key());
            TRY(auto tags, tags_of(*options));
            TRY(const auto header, file_header(*key, options->file, std::move(tags)));
            TRY(auto stored, put_file(client, options->file, header));
            if (options->attest)
                TRY_OK(attest(client, *key, stored));
            return stored;
        }();
        if (!id) {
            exit = report(common, id.error(), "nothing: the item was not stored");
            return;
        }
        JsonWriter json;
        json.begin_object().member("id", std::string_view(*id)).member("attested", options->attest).end_object();
        print(common, json.text(), {{"id", *id}, {"attested", options->attest ? "yes" : "no"}});
    });

    struct GetOptions {
        std::string id;
        std::string output;
    };
    auto wanted = std::make_shared<GetOptions>();
    auto* const get = app.add_subcommand("get", "the data of an item, to stdout or a file");
    get->add_option("id", wanted->id)->required();
    get->add_option("--output,-o", wanted->output, "a file to write");
    get->callback([wanted, &common, &exit] {
        const auto done = [&]() -> Result<void> {
            TRY(const auto id, ItemId::parse(wanted->id));
            std::unique_ptr<File> file;
            std::uint64_t at = 0;
            TRY_OK(Client(common.url).download("/" + id.text(), [&](Bytes piece) -> Result<void> {
                if (wanted->output.empty()) {
                    std::fwrite(piece.data(), 1, piece.size(), stdout);
                    return {};
                }
                if (!file) {
                    TRY(file, system_files().open(wanted->output, Files::Mode::create));
                    TRY_OK(file->truncate(0));
                }
                TRY_OK(file->write_at(at, piece));
                at += piece.size();
                return {};
            }));
            return {};
        }();
        if (!done)
            exit = report(common, done.error());
    });
}

}  // namespace altiplano::cli
