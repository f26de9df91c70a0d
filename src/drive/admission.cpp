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

}  // namespace

Result<bool> admits(weave::Weave& weave, const Reader& reader, const ItemId& item)
{
    const auto id = item.text();
    if (last(reader.process, "On-Boot") == id)
        return true;
    if (!reader.process.has("Extension", "WeaveDrive") && !reader.module.has("Extension", "WeaveDrive"))
        return false;

    auto mode = last(reader.process, "Availability-Type");
    if (!mode)
        mode = last(reader.module, "Availability-Type");
    if (!mode)
        mode = "Assignments";
    if (*mode != "Assignments" && *mode != "Individual")
        return fail(errors::unsupported_mode, fmt::format("Availability-Type {} is not supported", *mode),
            "use Assignments or Individual");

    std::vector<std::string> attestors;
    for (const auto* name : {"Scheduler", "Attestor"})
        for (const auto value : reader.process.all(name))
            attestors.emplace_back(value);
    if (attestors.empty())
        return false;
    TRY(const auto attested,
        weave.has_item_with({{"Data-Protocol", "ao"}, {"Type", "Attestation"}, {"Message", id}}, attestors, reader.height));
    if (attested || *mode == "Assignments")
        return attested;
    return weave.has_item_with({{"Data-Protocol", "WeaveDrive"}, {"Type", "Available"}, {"ID", id}}, attestors, reader.height);
}

}  // namespace altiplano::drive
