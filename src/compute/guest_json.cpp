#include "compute/guest_json.hpp"

#include "base/base64url.hpp"
#include "base/json.hpp"

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

void write_item(JsonWriter& json, std::string_view name, const item::Header& header)
{
    json.key(name)
        .begin_object()
        .member("Id", std::string_view(header.id().text()))
        .member("Owner", std::string_view(header.owner().text()));
    write_tags(json, header.tags(), false);
    json.end_object();
}

}  // namespace

std::string message_json(const units::LogEntry& entry)
{
    const auto& [assignment, message] = entry;
    const auto from_process = message.tags().first("From-Process");
    const bool spawns = assignment.slot.nonce == 0;

    JsonWriter json(JsonWriter::Text::guest);
    json.begin_object();
    json.member("Id", std::string_view(message.id().text()));
    json.member("Signature", std::string_view(base64url(message.header().signature())));
    json.member("Data", as_text(message.data()));
    json.member("Owner", std::string_view(message.owner().text()));
    // The item that spawns has no target: the process is what it makes.
    json.member("Target",
        std::string_view(spawns    ? assignment.slot.process.text()
                : message.target() ? message.target()->text()
                                   : ""));
    json.member("Anchor", as_text(message.anchor()));
    json.member("From", from_process ? *from_process : std::string_view(message.owner().text()));
    if (from_process)
        json.member("Forwarded-By", std::string_view(message.owner().text()));
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

std::string env_json(const item::Header& process, const item::Header& module)
{
    JsonWriter json(JsonWriter::Text::guest);
    json.begin_object();
    write_item(json, "Process", process);
    write_item(json, "Module", module);
    json.end_object();
    return std::move(json).text();
}

}  // namespace altiplano::compute
