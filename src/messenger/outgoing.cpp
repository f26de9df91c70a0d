#include "messenger/outgoing.hpp"

#include "base/hash.hpp"
#include "base/json.hpp"
#include "messenger/errors.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace altiplano::messenger {

namespace {

std::unexpected<Error> bad(const Source& source, std::string_view what)
{
    return fail(errors::bad_outgoing,
        fmt::format(
            "message {} of slot {} of {} cannot be sent: {}", source.index, source.slot.nonce, source.slot.process.text(), what));
}

std::string anchor_of(const Source& source)
{
    Buffer place = to_buffer("altiplano outbox");
    append(place, source.slot.process.bytes());
    append_u64(place, source.slot.nonce);
    append_u64(place, source.index);
    if (source.slot.cron > 0)
        append_u64(place, source.slot.cron);
    return to_string(sha256(place).bytes());
}

/// Any value of the guest's as data: a text as it is, anything else as it is written.
Buffer data_of(const JsonView& sent)
{
    const auto data = sent.find("Data");
    if (!data || data->is_null())
        return to_buffer(" ");
    const auto text = data->string();
    const std::string_view bytes = text ? std::string_view(*text) : data->raw();
    return to_buffer(bytes.empty() ? std::string_view(" ") : bytes);
}

/// The process's tags but those that only we may write.
Result<item::Tags> tags_of(const JsonView& sent, const Source& source, std::span<const std::string_view> reserved)
{
    item::Tags tags;
    const auto list = sent.find("Tags");
    if (!list)
        return tags;
    for (const auto& one : list->elements()) {
        const auto name = one.find("name");
        const auto value = one.find("value");
        const auto name_text = name ? name->string() : std::nullopt;
        const auto value_text = value ? value->text() : std::nullopt;
        if (!name_text || !value_text)
            return bad(source, "a tag is not {name, value} with texts");
        if (std::ranges::find(reserved, *name_text) == reserved.end())
            tags.add(*name_text, *value_text);
    }
    return tags;
}

Result<item::Fields> message_fields(const JsonView& sent, const Source& source)
{
    const auto target_text = sent.find("Target") ? sent.find("Target")->string() : std::nullopt;
    if (!target_text)
        return bad(source, "it has no Target");
    const auto target = Digest::parse(*target_text);
    if (!target)
        return bad(source, fmt::format("its Target is no id: {}", *target_text));
    const auto anchor = sent.find("Anchor") ? sent.find("Anchor")->string() : std::nullopt;

    constexpr std::array<std::string_view, 6> reserved{
        "Data-Protocol", "Type", "From-Process", "From-Module", "Pushed-For", "Assignments"};
    TRY(auto tags, tags_of(sent, source, reserved));
    tags.add("Data-Protocol", "ao");
    tags.add("Type", "Message");
    tags.add("From-Process", source.slot.process.text());
    tags.add("From-Module", source.module.text());
    if (!source.pushed_for.empty())
        tags.add("Pushed-For", source.pushed_for);
    return item::Fields{.target = *target,
        .anchor = anchor && anchor->size() == 32 ? *anchor : anchor_of(source),
        .tags = std::move(tags),
        .data = data_of(sent)};
}

Result<item::Fields> spawn_fields(const JsonView& sent, const Source& source)
{
    constexpr std::array<std::string_view, 3> reserved{"Data-Protocol", "Type", "Pushed-For"};
    TRY(const auto asked, tags_of(sent, source, reserved));
    if (!asked.first("Module"))
        return bad(source, "a spawn needs the tag Module");
    // What says where it comes from keeps its place, but not its value: that is ours to say.
    item::Tags tags;
    for (const auto& tag : asked)
        tags.add(tag.name,
            tag.name == "From-Process"      ? source.slot.process.text()
                : tag.name == "From-Module" ? source.module.text()
                                            : tag.value);
    tags.add("Variant", asked.first("Variant") == "ao.N.1" ? "ao.N.1" : "ao.TN.1");
    tags.add("Data-Protocol", "ao");
    tags.add("Type", "Process");
    tags.add("From-Process", source.slot.process.text());
    if (!source.pushed_for.empty())
        tags.add("Pushed-For", source.pushed_for);
    if (!asked.first("From-Module"))
        tags.add("From-Module", source.module.text());
    if (!tags.first("Scheduler"))
        tags.add("Scheduler", source.scheduler);
    return item::Fields{.anchor = anchor_of(source), .tags = std::move(tags), .data = data_of(sent)};
}

}  // namespace

Result<item::Fields> outgoing_fields(const store::OutboxRecord& record, const Source& source)
{
    const auto sent = JsonView::parse(record.json);
    if (!sent || sent->kind() != JsonView::Kind::object)
        return bad(source, "it is no JSON object");
    switch (record.kind) {
    case store::OutboxRecord::Kind::message: return message_fields(*sent, source);
    case store::OutboxRecord::Kind::spawn: return spawn_fields(*sent, source);
    case store::OutboxRecord::Kind::assignment: break;
    }
    return bad(source, "an assignment is no item");
}

Result<std::vector<units::AssignRequest>> assign_requests(const store::OutboxRecord& record, const Source& source)
{
    const auto asked = JsonView::parse(record.json);
    const auto text = [&](std::string_view name) {
        const auto value = asked ? asked->find(name) : std::nullopt;
        return value ? value->string().value_or("") : std::string();
    };
    const auto message = ItemId::parse(text("Message"));
    const auto processes = asked ? asked->find("Processes") : std::nullopt;
    if (!message || !processes || processes->elements().empty())
        return bad(source, "an assignment is {Processes = {ids}, Message = id}");
    const auto base_layer = asked->find("BaseLayer");
    units::AssignRequest request{
        .process = {}, .message = *message, .base_layer = base_layer && !base_layer->is_null() && base_layer->boolean() != false};
    if (const auto exclude = asked->find("Exclude"))
        for (const auto& one : exclude->elements())
            if (auto field = one.string())
                request.exclude.push_back(*std::move(field));
    std::vector<units::AssignRequest> requests;
    for (const auto& one : processes->elements()) {
        const auto process = ProcessId::parse(one.string().value_or(""));
        if (!process)
            return bad(source, fmt::format("it is to be assigned to {}, which is no id", one.raw()));
        request.process = *process;
        requests.push_back(request);
    }
    return requests;
}

Result<item::Fields> spawned_fields(const item::DataItem& spawn, const Source& source)
{
    item::Tags tags;
    for (const auto& tag : spawn.tags())
        // Process and Action would be found before the notice's own.
        if (tag.name != "Data-Protocol" && tag.name != "Variant" && tag.name != "Type" && tag.name != "Process"
            && tag.name != "Action")
            tags.add(tag.name, tag.value);
    tags.add("Data-Protocol", "ao");
    tags.add("Type", "Message");
    tags.add("Process", spawn.id().text());
    tags.add("Action", "Spawned");
    tags.add("Variant", "ao.TN.1");
    return item::Fields{
        .target = Digest(source.slot.process), .anchor = anchor_of(source), .tags = std::move(tags), .data = to_buffer(" ")};
}

}  // namespace altiplano::messenger
