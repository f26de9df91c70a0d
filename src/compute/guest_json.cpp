#include "compute/guest_json.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"
#include "compute/errors.hpp"

#include <algorithm>

namespace altiplano::compute {

namespace {

void write_tags(JsonWriter& json, const item::Tags& tags, bool hide_fields)
{
    json.key("Tags").begin_array();
    for (const auto& tag : tags)
        if (!hide_fields || (tag.name != "From" && tag.name != "Owner"))
            json.begin_object()
                .member("name", std::string_view(tag.name))
                .member("value", std::string_view(tag.value))
                .end_object();
    json.end_array();
}

void write_item(JsonWriter& json, std::string_view name, const item::Header& header, const std::optional<Address>& authority = {})
{
    auto tags = header.tags();
    if (authority)
        tags.add("Authority", authority->text());
    json.key(name)
        .begin_object()
        .member("Id", std::string_view(header.id().text()))
        .member("Owner", std::string_view(header.owner().text()));
    write_tags(json, tags, false);
    json.end_object();
}

}  // namespace

std::string message_json(const units::LogEntry& entry, JsonWriter::Text text)
{
    const auto& [assignment, message] = entry;
    const auto from_process = message.tags().first("From-Process");
    const bool spawns = assignment.slot.nonce == 0;

    const auto shown = [&](std::string_view field) {
        return std::ranges::find(assignment.exclude, field) == assignment.exclude.end();
    };

    JsonWriter json(text);
    json.begin_object();
    json.member("Id", std::string_view(message.id().text()));
    if (shown("Signature"))
        json.member("Signature", std::string_view(base64url(message.header().signature())));
    if (shown("Data"))
        json.member("Data", as_text(message.data()));
    json.member("Owner", std::string_view(message.owner().text()));
    // The item that spawns has no target: the process is what it makes.
    json.member("Target",
        std::string_view(spawns || units::sent_to(assignment) ? assignment.slot.process.text()
                : message.target()                            ? message.target()->text()
                                                              : ""));
    if (shown("Anchor"))
        json.member("Anchor", as_text(message.anchor()));
    json.member("From", from_process ? *from_process : std::string_view(message.owner().text()));
    if (from_process)
        json.member("Forwarded-By", std::string_view(message.owner().text()));
    if (shown("Tags"))
        write_tags(json, message.tags(), true);
    json.member("Epoch", std::int64_t{0});
    json.member("Nonce", assignment.slot.nonce);
    json.member("Timestamp", assignment.timestamp_ms);
    json.member("Block-Height", assignment.height);
    json.member("Hash-Chain", std::string_view(assignment.hash_chain.text()));
    json.member("Cron", false);
    json.member("Read-Only", false);
    json.end_object();
    return std::move(json).text();
}

std::string cron_json(const Tick& tick, const Cron& cron, const item::Header& process, JsonWriter::Text text)
{
    JsonWriter json(text);
    json.begin_object()
        .member("Owner", std::string_view(process.owner().text()))
        .member("Target", std::string_view(process.id().text()))
        .member("From", std::string_view(process.owner().text()));
    write_tags(json, cron.tags, true);
    json.member("Timestamp", tick.time_ms).member("Block-Height", tick.height).member("Cron", true).end_object();
    return std::move(json).text();
}

Result<std::string> dry_run_json(const units::DryRun& run, const units::Assignment& last, JsonWriter::Text text)
{
    const auto body = JsonView::parse(run.body.empty() ? std::string_view("{}") : std::string_view(run.body));
    if (!body || body->kind() != JsonView::Kind::object)
        return fail(errors::bad_dry_run, "the body of a dry run is no JSON object",
            "send {\"Owner\": ..., \"Data\": ..., \"Tags\": [{\"name\": ..., \"value\": ...}]}");
    std::optional<std::string> from;
    if (const auto tags = body->find("Tags")) {
        for (const auto& tag : tags->elements()) {
            const auto name = tag.find("name");
            const auto value = tag.find("value");
            if (!from && name && value && name->string() == "From-Process")
                from = value->string();
        }
    }
    if (const auto owner = body->find("Owner"); !from && owner)
        from = owner->string();

    JsonWriter json(text);
    json.begin_object();
    // In the order of the original: defaults, then what the client says in their place or besides.
    const auto members = body->members();
    const auto said = [&](std::string_view name) {
        return std::ranges::find(members, name, [](const auto& member) { return std::string_view(member.first); })
            != members.end();
    };
    if (!said("Timestamp"))
        json.member("Timestamp", last.timestamp_ms);
    if (!said("Block-Height"))
        json.member("Block-Height", last.height);
    if (!said("Cron"))
        json.member("Cron", false);
    if (!said("Target"))
        json.member("Target", std::string_view(run.process.text()));
    for (const auto& [name, value] : members)
        if (name != "From" && name != "Read-Only")
            json.key(name).raw(value.raw());
    if (!said("Tags"))
        json.key("Tags").begin_array().end_array();
    if (from)
        json.member("From", std::string_view(*from));
    json.member("Read-Only", true).end_object();
    return std::move(json).text();
}

std::string env_json(
    const item::Header& process, const item::Header& module, JsonWriter::Text text, const std::optional<Address>& authority)
{
    JsonWriter json(text);
    json.begin_object();
    write_item(json, "Process", process, authority);
    write_item(json, "Module", module);
    json.end_object();
    return std::move(json).text();
}

}  // namespace altiplano::compute
