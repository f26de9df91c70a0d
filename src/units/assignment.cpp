#include "units/assignment.hpp"

#include "base/hash.hpp"
#include "units/errors.hpp"

#include <charconv>
#include <fmt/format.h>

namespace altiplano::units {

namespace {

constexpr std::string_view extension_tag = "Extension-Specification";

std::unexpected<Error> bad(const item::DataItem& item, std::string_view tag, std::string_view why)
{
    return fail(errors::bad_assignment, fmt::format("the assignment {}: its tag {} {}", item.id().text(), tag, why));
}

Result<std::string_view> tag(const item::DataItem& item, std::string_view name)
{
    const auto value = item.tags().first(name);
    if (!value)
        return bad(item, name, "is missing");
    return *value;
}

template <class IdType> Result<IdType> id_tag(const item::DataItem& item, std::string_view name)
{
    TRY(const auto text, tag(item, name));
    const auto id = IdType::parse(text);
    if (!id)
        return bad(item, name, "is no id");
    return *id;
}

template <class Number> Result<Number> number_tag(const item::DataItem& item, std::string_view name)
{
    TRY(const auto text, tag(item, name));
    Number number{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || code != std::errc{} || end != text.data() + text.size())
        return bad(item, name, "is no number");
    return number;
}

}  // namespace

Digest first_link(const ProcessId& process)
{
    return sha256(process.bytes());
}

Digest next_link(const AssignmentId& previous, const Digest& previous_chain)
{
    Buffer both = to_buffer(previous.bytes());
    append(both, previous_chain.bytes());
    return sha256(both);
}

Result<Assignment> sign_assignment(const AssignmentFields& fields, const item::Signer& scheduler)
{
    Buffer place = to_buffer("altiplano assignment");
    append(place, fields.slot.process.bytes());
    append_u64(place, fields.slot.nonce);

    item::Tags tags{
        {"Process", fields.slot.process.text()},
        {"Epoch", "0"},
        {"Nonce", std::to_string(fields.slot.nonce)},
        {"Hash-Chain", fields.hash_chain.text()},
        {"Block-Height", fmt::format("{:012}", fields.height)},
        {"Timestamp", std::to_string(fields.timestamp_ms)},
        {"Data-Protocol", "ao"},
        {"Type", "Assignment"},
        {"Variant", "ao.TN.1"},
    };
    // The item that makes the process has no tag Message (2.3).
    if (fields.slot.nonce > 0)
        tags.add("Message", fields.message.text());
    for (const auto& field : fields.exclude)
        tags.add("Exclude", field);
    tags.add("Block-Hash", fields.block_hash.text());
    if (fields.semantics) {
        tags.add("Semantics-Version", std::to_string(fields.semantics->version));
        tags.add("Module-SHA-256", fields.semantics->module_sha256.text());
        for (const auto& [name, specification] : fields.semantics->extensions)
            tags.add(std::string(extension_tag), name + " " + specification.text());
        if (fields.semantics->authority)
            tags.add("Authority", fields.semantics->authority->text());
        if (fields.semantics->module)
            tags.add("Module", fields.semantics->module->text());
    }
    if (fields.sent_to)
        tags.add("Sent-To", fields.sent_to->text());
    TRY(auto item, item::build({.anchor = to_string(sha256(place).bytes()), .tags = std::move(tags)}, scheduler));
    return read_assignment(std::move(item));
}

Result<Assignment> read_assignment(item::DataItem item)
{
    if (!item.tags().has("Type", "Assignment"))
        return bad(item, "Type", "is not Assignment");
    Assignment read;
    read.id = AssignmentId(item.id());
    TRY(read.slot.process, id_tag<ProcessId>(item, "Process"));
    TRY(read.slot.nonce, number_tag<std::uint64_t>(item, "Nonce"));
    // Other schedulers write no Message for the process item itself, and no Block-Hash at all (2.3).
    read.message = ItemId(read.slot.process);
    if (read.slot.nonce > 0 || item.tags().first("Message")) {
        TRY(read.message, id_tag<ItemId>(item, "Message"));
    }
    TRY(read.hash_chain, id_tag<Digest>(item, "Hash-Chain"));
    TRY(read.height, number_tag<std::uint64_t>(item, "Block-Height"));
    if (item.tags().first("Block-Hash")) {
        TRY(read.block_hash, id_tag<BlockHash>(item, "Block-Hash"));
    }
    TRY(read.timestamp_ms, number_tag<std::int64_t>(item, "Timestamp"));
    if (item.tags().first("Semantics-Version")) {
        Assignment::Semantics semantics;
        TRY(semantics.version, number_tag<std::uint32_t>(item, "Semantics-Version"));
        TRY(semantics.module_sha256, id_tag<Digest>(item, "Module-SHA-256"));
        for (const auto text : item.tags().all(extension_tag)) {
            const auto space = text.find(' ');
            const auto specification =
                space == text.npos ? Result<Digest>(fail(errors::bad_assignment, "")) : Digest::parse(text.substr(space + 1));
            if (!specification)
                return bad(item, extension_tag, "is not a name and a hash");
            semantics.extensions.emplace_back(std::string(text.substr(0, space)), *specification);
        }
        if (const auto authority = item.tags().first("Authority"))
            semantics.authority = Address(std::string(*authority));
        if (item.tags().first("Module")) {
            TRY(semantics.module, id_tag<ModuleId>(item, "Module"));
        }
        read.semantics = std::move(semantics);
    }
    for (const auto field : item.tags().all("Exclude"))
        read.exclude.emplace_back(field);
    read.item = std::move(item);
    return read;
}

}  // namespace altiplano::units
