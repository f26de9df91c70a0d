#include "units/ao_wire.hpp"
#include "units/errors.hpp"
#include "units/http_units.hpp"
#include "units/wire.hpp"

#include <fmt/format.h>

namespace altiplano::units {

namespace {

/// "7", or "7.2" for the second cron evaluation after slot 7.
std::string place_of(const Slot& slot)
{
    return slot.cron == 0 ? std::to_string(slot.nonce) : fmt::format("{}.{}", slot.nonce, slot.cron);
}

}  // namespace

Result<SlotResult> HttpCompute::result(const Slot& slot)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (ours) {
        TRY(const auto answer,
            unit_.ask("GET", fmt::format("/~altiplano/result/{}/{}", slot.process.text(), place_of(slot)), {}, true));
        TRY(auto result, wire::decode_result(as_bytes(answer.body)));
        if (result.slot != slot)
            return fail(errors::bad_answer,
                fmt::format("the compute unit answered with slot {}, {} was asked for", result.slot.nonce, slot.nonce));
        return result;
    }
    if (slot.cron > 0)
        return fail(errors::not_offered, fmt::format("{} cannot be asked for one evaluation by cron", unit_.url()));
    TRY(const auto entry, scheduler_.entry(slot));
    // Whoever was assigned to a process is known there by the assignment's id (3.6); the process itself by its own.
    const auto id = was_assigned(entry) ? entry.assignment.id.text() : entry.message.id().text();
    TRY(const auto answer,
        unit_.ask("GET", fmt::format("/result/{}?process-id={}&no-busy=1", id, slot.process.text()), {}, true));
    return ao::result_of(slot, answer.body);
}

Result<std::optional<SlotResult>> HttpCompute::stored(const Slot& slot)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (!ours)
        return std::optional<SlotResult>{};
    TRY(const auto answer, unit_.ask("GET", fmt::format("/~altiplano/stored/{}/{}", slot.process.text(), place_of(slot))));
    if (answer.status == 204)
        return std::optional<SlotResult>{};
    TRY(auto result, wire::decode_result(as_bytes(answer.body)));
    return std::optional(std::move(result));
}

Result<CronReach> HttpCompute::cron(const CronRequest& request)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (!ours)
        return Compute::cron(request);
    TRY(const auto answer,
        unit_.ask("POST",
            fmt::format("/~altiplano/cron/{}?until={}&max={}{}", request.process.text(), request.until_ms,
                request.evaluations_max, request.parked_too ? "&parked=1" : ""),
            {}, true));
    TRY(const auto json, JsonView::parse(answer.body));
    const auto number = [&](std::string_view name) { return json.find(name) ? json.find(name)->integer() : std::nullopt; };
    if (!number("evaluated") || !number("due") || !number("until"))
        return fail(errors::bad_answer, "the compute unit does not say how far cron is evaluated");
    return CronReach{.evaluated = static_cast<std::uint64_t>(*number("evaluated")),
        .left = static_cast<std::uint64_t>(*number("due")),
        .until_ms = *number("until")};
}

Result<std::optional<Slot>> HttpCompute::begins_after(const ProcessId& process)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (!ours)
        return std::optional<Slot>{};
    TRY(const auto answer, unit_.ask("GET", fmt::format("/~altiplano/trusted/{}", process.text())));
    if (answer.status == 204)
        return std::optional<Slot>{};
    TRY(const auto json, JsonView::parse(answer.body));
    const auto slot = json.find("slot") ? json.find("slot")->integer() : std::nullopt;
    if (!slot || *slot < 0)
        return fail(errors::bad_answer, "the compute unit does not say where results begin");
    return std::optional(Slot{process, static_cast<std::uint64_t>(*slot)});
}

Result<SlotResult> HttpCompute::dry_run(const DryRun& run)
{
    TRY(const bool ours, unit_.speaks_ours());
    const auto path = fmt::format("{}/dry-run?process-id={}", ours ? "/~altiplano" : "", run.process.text());
    TRY(const auto answer, unit_.ask("POST", path, as_bytes(run.body), true));
    if (ours)
        return wire::decode_result(as_bytes(answer.body));
    return ao::result_of({run.process, 0}, answer.body);
}

std::shared_ptr<void> HttpCompute::watch(const ProcessId&, std::function<void(const ConsolePiece&)>)
{
    return {};
}

Result<Assignment::Semantics> HttpCompute::admit(const item::DataItem& process)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (!ours)
        return fail(errors::not_offered, fmt::format("{} cannot say under which semantics a process would run", unit_.url()));
    TRY(const auto answer, unit_.ask("POST", "/~altiplano/admit", process.wire(), true));
    return wire::decode_semantics(answer.body);
}

Result<Messenger::Accepted> HttpMessenger::accept(const item::DataItem& item)
{
    TRY(const auto answer, unit_.ask("POST", "/", item.wire(), true));
    Accepted accepted{.id = item.id(), .slot = {}};
    const auto json = JsonView::parse(answer.body);
    const auto process = json ? json->find("process") : std::nullopt;
    const auto slot = json ? json->find("slot") : std::nullopt;
    if (process && slot && slot->integer() && *slot->integer() >= 0) {
        TRY(const auto id, ProcessId::parse(process->string().value_or("")));
        accepted.slot = Slot{id, static_cast<std::uint64_t>(*slot->integer())};
    }
    return accepted;
}

Result<Assignment> HttpMessenger::assign(const AssignRequest& request)
{
    TRY(const auto answer, unit_.ask("POST", "/" + query_of(request), {}, true));
    TRY(const auto json, JsonView::parse(answer.body));
    TRY(const auto id, ItemId::parse(json.find("id") ? json.find("id")->string().value_or("") : ""));
    TRY(const auto slot, scheduler_.slot_of(request.process, id));
    TRY(auto entry, scheduler_.entry(slot));
    return std::move(entry.assignment);
}

}  // namespace altiplano::units
