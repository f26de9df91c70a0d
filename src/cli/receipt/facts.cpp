#include "cli/receipt/facts.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::cli {

Result<Facts> log_facts(weave::Weave& weave, scheduler::LogReader& log, const units::Slot& slot)
{
    TRY(const auto spawn, log.entry({slot.process, 0}));
    TRY(const auto entry, log.entry(slot));
    const auto& assignment = entry.assignment;
    const auto semantics = spawn.assignment.semantics.value_or(units::Assignment::Semantics{});
    Facts facts{{"process", slot.process.text()}, {"slot", std::to_string(slot.nonce)}, {"weave", weave.id().text()},
        {"scheduler", assignment.item.owner().text()}, {"message", assignment.message.text()},
        {"assignment", assignment.id.text()}, {"hash_chain", assignment.hash_chain.text()},
        {"height", std::to_string(assignment.height)}, {"block_hash", assignment.block_hash.text()},
        {"timestamp", std::to_string(assignment.timestamp_ms)}, {"owner", spawn.message.owner().text()},
        {"module", semantics.module ? semantics.module->text() : std::string(spawn.message.tags().first("Module").value_or(""))},
        {"module_sha256", semantics.module_sha256.text()}, {"semantics_version", std::to_string(semantics.version)}};
    for (const auto& [name, specification] : semantics.extensions)
        facts.emplace_back("extension_" + name, specification.text());
    return facts;
}

Facts result_facts(const units::SlotResult& result)
{
    return {{"outcome", std::string(units::name_of(result.kind))}, {"output_sha256", sha256(as_bytes(result.output)).text()},
        {"output_bytes", std::to_string(result.output.size())}, {"state_root", result.state_root.text()},
        {"gas", std::to_string(result.gas)}, {"gas_used", std::to_string(result.gas_used)}};
}

std::string difference(const Facts& receipt, const Facts& found)
{
    for (const auto& [name, value] : found)
        if (const auto said = fact(receipt, name); said != value)
            return said.empty() ? fmt::format("the receipt does not say its {}; it is {}", name, value)
                                : fmt::format("the receipt says that the {} is {}; it is {}", name, said, value);
    for (const auto& [name, value] : receipt)
        if (std::ranges::find(found, name, &Facts::value_type::first) == found.end())
            return fmt::format("the receipt says that its {} is {}; there is nothing of that name", name, value);
    return {};
}

std::string fact(const Facts& facts, std::string_view name)
{
    const auto found = std::ranges::find(facts, name, &Facts::value_type::first);
    return found == facts.end() ? std::string() : found->second;
}

}  // namespace altiplano::cli
