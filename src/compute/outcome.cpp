#include "compute/outcome.hpp"

#include "base/json.hpp"

namespace altiplano::compute {

bool failed(std::string_view output)
{
    const auto answer = JsonView::parse(output);
    if (!answer)
        return true;
    const auto ok = answer->find("ok");
    const auto response = answer->find("response");
    if (!ok || ok->boolean() != true || !response)
        return true;
    const auto error = response->find("Error");
    return error && !error->is_null();
}

std::vector<store::OutboxRecord> outbox_of(const units::SlotResult& result)
{
    std::vector<store::OutboxRecord> outbox;
    if (result.kind != units::SlotResult::Kind::result)
        return outbox;
    const auto answer = JsonView::parse(result.output);
    const auto response = answer ? answer->find("response") : std::nullopt;
    if (!response)
        return outbox;
    using Kind = store::OutboxRecord::Kind;
    for (const auto& [name, kind] :
        {std::pair{"Messages", Kind::message}, {"Spawns", Kind::spawn}, {"Assignments", Kind::assignment}})
        if (const auto list = response->find(name))
            for (const auto& one : list->elements())
                outbox.push_back({.index = outbox.size(), .kind = kind, .json = std::string(one.raw())});
    return outbox;
}

store::ResultRecord to_record(const units::SlotResult& result)
{
    return {.process = result.slot.process,
        .nonce = result.slot.nonce,
        .kind = static_cast<std::uint8_t>(result.kind),
        .output = result.output,
        .state_root = result.state_root,
        .gas = result.gas,
        .cron = result.slot.cron,
        .time_ms = result.time_ms,
        .cron_name = result.cron_name,
        .gas_used = result.gas_used};
}

units::SlotResult from_record(const store::ResultRecord& record)
{
    return {.slot = {record.process, record.nonce, record.cron},
        .kind = static_cast<units::SlotResult::Kind>(record.kind),
        .output = record.output,
        .state_root = record.state_root,
        .gas = record.gas,
        .gas_used = record.gas_used,
        .time_ms = record.time_ms,
        .cron_name = record.cron_name};
}

}  // namespace altiplano::compute
