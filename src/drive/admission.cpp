#include "drive/admission.hpp"

#include "drive/errors.hpp"

#include <fmt/format.h>

namespace altiplano::drive {

namespace {

std::optional<std::string_view> last(const item::Tags& tags, std::string_view name)
{
    const auto all = tags.all(name);
    return all.empty() ? std::nullopt : std::optional(all.back());
}

bool has_drive(const item::Tags& process, const item::Tags& module)
{
    return process.has("Extension", "WeaveDrive") || module.has("Extension", "WeaveDrive");
}

Result<std::string_view> mode_of(const item::Tags& process, const item::Tags& module)
{
    auto mode = last(process, "Availability-Type");
    if (!mode)
        mode = last(module, "Availability-Type");
    if (!mode)
        mode = "Assignments";
    if (*mode == "Library")
        return fail(errors::unsupported_mode,
            "Availability-Type Library is named by the published WeaveDrive and defined nowhere, so that two nodes could admit "
            "different items",
            "use Individual: an attestor's item with Data-Protocol: WeaveDrive, Type: Available, ID: <id> admits one item");
    if (*mode != "Assignments" && *mode != "Individual")
        return fail(errors::unsupported_mode, fmt::format("Availability-Type {} is not supported", *mode),
            "use Assignments or Individual");
    return *mode;
}

}  // namespace

Result<void> check_mode(const item::Tags& process, const item::Tags& module)
{
    if (!has_drive(process, module))
        return {};
    TRY_OK(mode_of(process, module));
    return {};
}

Result<bool> admits(weave::Weave& weave, const Reader& reader, const ItemId& item)
{
    const auto id = item.text();
    if (last(reader.process, "On-Boot") == id)
        return true;
    if (!has_drive(reader.process, reader.module))
        return false;
    TRY(const auto mode, mode_of(reader.process, reader.module));

    std::vector<std::string> attestors;
    for (const auto* name : {"Scheduler", "Attestor"})
        for (const auto value : reader.process.all(name))
            attestors.emplace_back(value);
    if (attestors.empty())
        return false;
    TRY(const auto attested,
        weave.has_item_with({{"Data-Protocol", "ao"}, {"Type", "Attestation"}, {"Message", id}}, attestors, reader.height));
    if (attested || mode == "Assignments")
        return attested;
    return weave.has_item_with({{"Data-Protocol", "WeaveDrive"}, {"Type", "Available"}, {"ID", id}}, attestors, reader.height);
}

}  // namespace altiplano::drive
