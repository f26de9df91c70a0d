// Checkpoints in AO's format: written for other compute units, and theirs compared with what the log gives here.
#include "base/base64url.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/errors.hpp"

#include <fmt/format.h>

namespace altiplano::cli {

namespace {

struct CheckpointOptions {
    std::string process;
    std::uint64_t slot = 0;
    std::string output;
    bool publish = false;
    std::string id;
};

struct Checkpoint {
    std::vector<item::Tag> tags;
    std::string sha256;
    std::string memory_bytes;
    Buffer data;
};

Result<Checkpoint> fetch(const Client& client, const std::string& process, std::uint64_t slot)
{
    TRY(const auto answer, client.get(fmt::format("/~altiplano/checkpoint/{}/{}", process, slot)));
    TRY(const auto view, answer.view());
    Checkpoint checkpoint{.tags = {}, .sha256 = answer.field("sha256"), .memory_bytes = answer.field("memory_bytes"), .data = {}};
    const auto tags = view.find("tags");
    for (const auto& tag : tags ? tags->elements() : std::vector<JsonView>{}) {
        const Answer one{std::string(tag.raw())};
        checkpoint.tags.push_back({one.field("name"), one.field("value")});
    }
    TRY(checkpoint.data, from_base64url(answer.field("data")));
    return checkpoint;
}

Result<void> write_out(const Common& common, const CheckpointOptions& options)
{
    const Client client(common.url);
    TRY(auto checkpoint, fetch(client, options.process, options.slot));
    if (!options.output.empty())
        TRY_OK(write_file(system_files(), options.output, checkpoint.data));
    std::string id;
    if (options.publish) {
        TRY(const auto key, common.key());
        TRY(const auto item, item::build({.tags = item::Tags(checkpoint.tags), .data = checkpoint.data}, *key));
        TRY_OK(client.post("/tx", item.wire()));
        id = item.id().text();
    }
    JsonWriter json;
    json.begin_object().member("sha256", std::string_view(checkpoint.sha256));
    json.member("bytes", static_cast<std::uint64_t>(checkpoint.data.size()));
    std::vector<std::pair<std::string, std::string>> lines{{"memory", checkpoint.memory_bytes + " bytes"},
        {"SHA-256", checkpoint.sha256}, {"gzip", std::to_string(checkpoint.data.size()) + " bytes"}};
    if (!id.empty()) {
        json.member("id", std::string_view(id));
        lines.emplace_back("id", id);
    }
    json.end_object();
    print(common, json.text(), lines);
    return {};
}

/// Somebody's checkpoint against the state that the log gives at its slot.
Result<Exit> check(const Common& common, const CheckpointOptions& options)
{
    const Client client(common.url);
    std::string theirs;
    CheckpointOptions of;
    std::string nonce;
    TRY(const auto id, ItemId::parse(options.id));
    TRY(const auto answer,
        client.post(
            "/graphql", as_bytes(fmt::format(R"({{"query":"{{transaction(id:\"{}\"){{tags{{name value}}}}}}"}})", id.text()))));
    TRY(const auto view, answer.view());
    const auto data = view.find("data");
    const auto found = data ? data->find("transaction") : std::nullopt;
    const auto tags = found ? found->find("tags") : std::nullopt;
    for (const auto& tag : tags ? tags->elements() : std::vector<JsonView>{}) {
        const Answer one{std::string(tag.raw())};
        if (one.field("name") == "SHA-256")
            theirs = one.field("value");
        if (one.field("name") == "Process")
            of.process = one.field("value");
        if (one.field("name") == "Nonce")
            nonce = one.field("value");
    }
    const auto slot = whole_number(nonce);
    if (theirs.empty() || of.process.empty() || !slot)
        return fail(
            errors::bad_argument, fmt::format("the item {} is no checkpoint: it lacks SHA-256, Process or Nonce", options.id));
    of.slot = *slot;
    TRY(const auto ours, fetch(client, of.process, of.slot));
    const bool same = ours.sha256 == theirs;
    print(common,
        JsonWriter()
            .begin_object()
            .member("identical", same)
            .member("sha256", std::string_view(theirs))
            .member("computed", std::string_view(ours.sha256))
            .end_object()
            .text(),
        {{same ? "identical" : "differs",
            same ? "the memory is what the log gives" : "the log gives another memory: " + ours.sha256}});
    return same ? Exit::ok : Exit::mismatch;
}

void print_taken(const Common& common, const Answer& answer)
{
    const bool verified = answer.field("verified") == "true";
    print(common, answer.text,
        {{"process", answer.field("process")}, {"slot", answer.field("slot")}, {"state root", answer.field("state_root")},
            {"signer", answer.field("signer")},
            {verified ? "verified" : "trusted",
                verified
                    ? "the log was computed up to there, and gives this state"
                    : "nobody computed this state here: what the process says from now on is worth what the signer's word is, "
                      "until `altiplano checkpoint verify`"}});
}

Result<void> take_in(const Common& common, const CheckpointOptions& options)
{
    TRY(const auto id, ItemId::parse(options.id));
    TRY(const auto answer, Client(common.url).post("/~altiplano/take-in/" + id.text(), {}));
    print_taken(common, answer);
    return {};
}

Result<void> verify_taken(const Common& common, const CheckpointOptions& options)
{
    TRY(const auto process, ProcessId::parse(options.process));
    TRY(const auto answer, Client(common.url).post(fmt::format("/~altiplano/trusted/{}/verify", process.text()), {}));
    print_taken(common, answer);
    return {};
}

}  // namespace

void add_checkpoint_commands(CLI::App& app, Common& common, Exit& exit)
{
    auto* const group = app.add_subcommand("checkpoint", "states in the form in which AO's compute units exchange them");
    group->require_subcommand(1);
    auto options = std::make_shared<CheckpointOptions>();

    auto* const out = group->add_subcommand("export", "writes the memory after a slot, gzipped; or publishes it as an item");
    out->add_option("process", options->process, "the process's id")->required();
    out->add_option("--slot", options->slot, "after which slot")->required();
    out->add_option("--output,-o", options->output, "a file to write");
    out->add_flag("--publish", options->publish, "as a data item of type Checkpoint, signed by your wallet");
    out->callback([options, &common, &exit] {
        if (const auto done = write_out(common, *options); !done)
            exit = report(common, done.error());
    });

    auto* const in = group->add_subcommand("import",
        "goes on from somebody's checkpoint instead of computing the log up to it; the node must trust its signer "
        "(--checkpoint-signers)");
    in->add_option("id", options->id, "of the item")->required();
    in->callback([options, &common, &exit] {
        if (const auto done = take_in(common, *options); !done)
            exit = report(common, done.error());
    });

    auto* const verifying = group->add_subcommand(
        "verify", "has the node compute the log up to what was imported; exit 5 when it gives another state");
    verifying->add_option("process", options->process, "the process's id")->required();
    verifying->callback([options, &common, &exit] {
        if (const auto done = verify_taken(common, *options); !done)
            exit = report(common, done.error());
    });

    auto* const checking =
        group->add_subcommand("check", "computes the state of somebody's checkpoint from the log; exit 5 when it is another");
    checking->add_option("id", options->id, "of the item")->required();
    checking->callback([options, &common, &exit] {
        const auto done = check(common, *options);
        exit = done ? *done : report(common, done.error());
    });
}

}  // namespace altiplano::cli
