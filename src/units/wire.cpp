#include "units/wire.hpp"

#include "base/json.hpp"
#include "units/assignment.hpp"
#include "units/errors.hpp"

#include <fmt/format.h>

namespace altiplano::units::wire {

namespace {

std::unexpected<Error> bad(std::string_view what)
{
    return fail(errors::bad_answer, fmt::format("the answer of the other unit {}", what));
}

Result<std::string> text_of(const JsonView& json, std::string_view name)
{
    const auto member = json.find(name);
    const auto text = member ? member->string() : std::nullopt;
    if (!text)
        return bad(fmt::format("has no text '{}'", name));
    return *text;
}

}  // namespace

Buffer join(const std::vector<Bytes>& parts)
{
    Buffer out;
    for (const auto& part : parts) {
        append_u64(out, part.size());
        append(out, part);
    }
    return out;
}

Result<std::vector<Bytes>> split(Bytes bytes, std::size_t count)
{
    std::vector<Bytes> parts;
    while (!bytes.empty()) {
        if (bytes.size() < 8 || read_u64(bytes) > bytes.size() - 8 || parts.size() == count)
            return bad(fmt::format("is not made of {} parts", count));
        const auto size = static_cast<std::size_t>(read_u64(bytes));
        parts.push_back(bytes.subspan(8, size));
        bytes = bytes.subspan(8 + size);
    }
    if (parts.size() != count)
        return bad(fmt::format("has {} parts, {} were expected", parts.size(), count));
    return parts;
}

Buffer encode(const LogEntry& entry)
{
    return join({entry.assignment.item.wire(), entry.message.wire()});
}

Result<LogEntry> decode_entry(Bytes bytes)
{
    TRY(const auto parts, split(bytes, 2));
    TRY(auto assignment_item, item::DataItem::parse(to_buffer(parts[0]), UINT64_MAX));
    TRY(auto message, item::DataItem::parse(to_buffer(parts[1]), UINT64_MAX));
    TRY_OK(assignment_item.verify());
    TRY_OK(message.verify());
    TRY(auto assignment, read_assignment(std::move(assignment_item)));
    if (assignment.message != message.id())
        return bad(
            fmt::format("has the message {}, but its assignment is of {}", message.id().text(), assignment.message.text()));
    return LogEntry{.assignment = std::move(assignment), .message = std::move(message)};
}

Buffer encode(const SlotResult& result)
{
    JsonWriter json;
    json.begin_object()
        .member("process", std::string_view(result.slot.process.text()))
        .member("slot", result.slot.nonce)
        .member("outcome", name_of(result.kind))
        .member("state_root", std::string_view(result.state_root.text()))
        .member("gas", result.gas)
        .member("cron", result.slot.cron)
        .member("time", result.time_ms)
        .member("cron_name", std::string_view(result.cron_name))
        .end_object();
    return join({as_bytes(json.text()), as_bytes(result.output)});
}

Result<SlotResult> decode_result(Bytes bytes)
{
    TRY(const auto parts, split(bytes, 2));
    TRY(const auto json, JsonView::parse(as_text(parts[0])));
    SlotResult result{.slot = {}, .output = to_string(parts[1]), .state_root = {}};
    TRY(const auto process, text_of(json, "process"));
    TRY(result.slot.process, ProcessId::parse(process));
    TRY(const auto outcome, text_of(json, "outcome"));
    TRY(const auto root, text_of(json, "state_root"));
    TRY(result.state_root, Digest::parse(root));
    const auto nonce = json.find("slot") ? json.find("slot")->integer() : std::nullopt;
    const auto gas = json.find("gas") ? json.find("gas")->integer() : std::nullopt;
    if (!nonce || *nonce < 0 || !gas || *gas < 0)
        return bad("has no slot or no gas");
    result.slot.nonce = static_cast<std::uint64_t>(*nonce);
    result.gas = static_cast<std::uint64_t>(*gas);
    const auto cron = json.find("cron") ? json.find("cron")->integer() : std::nullopt;
    const auto time = json.find("time") ? json.find("time")->integer() : std::nullopt;
    if (!cron || *cron < 0 || !time)
        return bad("has no cron or no time");
    result.slot.cron = static_cast<std::uint64_t>(*cron);
    result.time_ms = *time;
    TRY(result.cron_name, text_of(json, "cron_name"));
    using Kind = SlotResult::Kind;
    for (const auto kind : {Kind::result, Kind::error, Kind::guest_fault})
        if (name_of(kind) == outcome) {
            result.kind = kind;
            return result;
        }
    return bad(fmt::format("has the outcome '{}'", outcome));
}

std::string encode(const Assignment::Semantics& semantics)
{
    JsonWriter json;
    json.begin_object()
        .member("version", std::uint64_t{semantics.version})
        .member("module_sha256", std::string_view(semantics.module_sha256.text()))
        .key("extensions")
        .begin_object();
    for (const auto& [name, specification] : semantics.extensions)
        json.member(name, std::string_view(specification.text()));
    json.end_object();
    if (semantics.module)
        json.member("module", std::string_view(semantics.module->text()));
    if (semantics.authority)
        json.member("authority", std::string_view(semantics.authority->text()));
    json.end_object();
    return std::move(json).text();
}

Result<Assignment::Semantics> decode_semantics(std::string_view text)
{
    TRY(const auto json, JsonView::parse(text));
    Assignment::Semantics semantics{.module_sha256 = {}, .extensions = {}};
    const auto version = json.find("version") ? json.find("version")->integer() : std::nullopt;
    if (!version || *version < 1 || *version > UINT32_MAX)
        return bad("has no semantics version");
    semantics.version = static_cast<std::uint32_t>(*version);
    TRY(const auto module, text_of(json, "module_sha256"));
    TRY(semantics.module_sha256, Digest::parse(module));
    if (const auto extensions = json.find("extensions"))
        for (const auto& [name, value] : extensions->members()) {
            TRY(const auto specification, Digest::parse(value.string().value_or("")));
            semantics.extensions.emplace_back(name, specification);
        }
    if (json.find("module")) {
        TRY(const auto module_id, text_of(json, "module"));
        TRY(semantics.module, ModuleId::parse(module_id));
    }
    if (json.find("authority")) {
        TRY(auto authority, text_of(json, "authority"));
        semantics.authority = Address(std::move(authority));
    }
    return semantics;
}

}  // namespace altiplano::units::wire
