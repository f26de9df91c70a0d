#include "base/json.hpp"
#include "units/ao_wire.hpp"
#include "units/assignment.hpp"
#include "units/errors.hpp"
#include "units/http_units.hpp"
#include "units/wire.hpp"

#include <charconv>
#include <fmt/format.h>

namespace altiplano::units {

namespace {

std::unexpected<Error> bad(std::string_view what)
{
    return fail(errors::bad_answer, fmt::format("the scheduler's answer {}", what));
}

Result<std::uint64_t> number_in(const JsonView& json, std::string_view name)
{
    const auto member = json.find(name);
    const auto number = member ? member->integer() : std::nullopt;
    if (!number || *number < 0)
        return bad(fmt::format("has no number '{}'", name));
    return static_cast<std::uint64_t>(*number);
}

template <class IdType> Result<IdType> id_in(const JsonView& json, std::string_view name)
{
    const auto member = json.find(name);
    return IdType::parse(member ? member->string().value_or("") : "");
}

Result<Assignment> assignment_of(const std::string& body)
{
    TRY(auto item, item::DataItem::parse(to_buffer(body), UINT64_MAX));
    TRY_OK(item.verify());
    return read_assignment(std::move(item));
}

std::string_view first_tag(const JsonView& json, std::string_view name, std::string& into)
{
    if (const auto tags = json.find("tags"))
        for (const auto& tag : tags->elements())
            if (tag.find("name") && tag.find("name")->string() == name && tag.find("value")) {
                into = tag.find("value")->string().value_or("");
                return into;
            }
    return {};
}

}  // namespace

Result<Assignment> HttpScheduler::assign(const item::DataItem& item)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (ours) {
        TRY(auto answer, unit_.ask("POST", "/~altiplano/assign", item.wire(), true));
        return assignment_of(answer.body);
    }
    TRY(const auto answer, unit_.ask("POST", "/", item.wire()));
    const bool spawns = item.tags().has("Type", "Process");
    const auto process = spawns || !item.target() ? ProcessId(item.id()) : ProcessId(*item.target());
    TRY(auto entry, entry_by_ao(process, item.id().text()));
    return std::move(entry.assignment);
}

Result<Assignment> HttpScheduler::assign(const AssignRequest& request)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (ours) {
        TRY(auto answer, unit_.ask("POST", "/~altiplano/assign" + query_of(request)));
        return assignment_of(answer.body);
    }
    TRY(const auto answer, unit_.ask("POST", "/" + query_of(request)));
    TRY(const auto json, JsonView::parse(answer.body));
    TRY(const auto id, id_in<ItemId>(json, "id"));
    TRY(auto entry, entry_by_ao(request.process, id.text()));
    return std::move(entry.assignment);
}

/// One message of a process, by its id or its assignment's.
Result<LogEntry> HttpScheduler::entry_by_ao(const ProcessId& process, const std::string& id)
{
    // The process item itself is found as the first of its own page (3.6).
    const auto path = id == process.text() ? fmt::format("/{0}?process-id={0}&to-nonce=0&limit=1&show-anchor=1", id)
                                           : fmt::format("/{}?process-id={}&show-anchor=1", id, process.text());
    TRY(const auto answer, unit_.ask("GET", path));
    TRY(const auto json, JsonView::parse(answer.body));
    const auto edges = json.find("edges");
    if (!edges)
        return ao::entry_of(json, fetch_);
    const auto list = edges->elements();
    const auto node = list.empty() ? std::nullopt : list.front().find("node");
    if (!node)
        return bad("is an empty page");
    return ao::entry_of(*node, fetch_);
}

Result<LogEntry> HttpScheduler::entry(const Slot& slot)
{
    TRY(const bool ours, unit_.speaks_ours());
    auto found = [&]() -> Result<LogEntry> {
        if (ours) {
            TRY(const auto answer, unit_.ask("GET", fmt::format("/~altiplano/entry/{}/{}", slot.process.text(), slot.nonce)));
            return wire::decode_entry(as_bytes(answer.body));
        }
        const auto from = slot.nonce == 0 ? std::string() : fmt::format("&from-nonce={}", slot.nonce - 1);
        TRY(const auto answer,
            unit_.ask("GET",
                fmt::format("/{0}?process-id={0}{1}&to-nonce={2}&limit=1&show-anchor=1", slot.process.text(), from, slot.nonce)));
        TRY(const auto json, JsonView::parse(answer.body));
        const auto list = json.find("edges") ? json.find("edges")->elements() : std::vector<JsonView>{};
        const auto node = list.empty() ? std::nullopt : list.front().find("node");
        if (!node)
            return fail("scheduler.unknown_slot", fmt::format("slot {} of {} is not there", slot.nonce, slot.process.text()));
        return ao::entry_of(*node, fetch_);
    }();
    if (found && found->assignment.slot != slot)
        return bad(fmt::format("is slot {} of {}; {} was asked for", found->assignment.slot.nonce,
            found->assignment.slot.process.text(), slot.nonce));
    return found;
}

Result<Closing> HttpScheduler::close(const ProcessId& process, std::int64_t until_ms)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (!ours)
        return Scheduler::close(process, until_ms);
    TRY(const auto answer, unit_.ask("POST", fmt::format("/~altiplano/close/{}?until={}", process.text(), until_ms)));
    TRY(const auto json, JsonView::parse(answer.body));
    const auto time = json.find("time") ? json.find("time")->integer() : std::nullopt;
    TRY(const auto height, number_in(json, "height"));
    if (!time)
        return fail(errors::bad_answer, "the scheduler does not say how far the time of the process is settled");
    return Closing{.time_ms = *time, .height = height};
}

Result<std::uint64_t> HttpScheduler::slot_after(const ProcessId& process, std::int64_t timestamp_ms)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (ours) {
        TRY(const auto answer, unit_.ask("GET", fmt::format("/~altiplano/slot-after/{}/{}", process.text(), timestamp_ms)));
        TRY(const auto json, JsonView::parse(answer.body));
        return number_in(json, "slot");
    }
    TRY(const auto answer,
        unit_.ask("GET", fmt::format("/{0}?process-id={0}&from={1}&limit=1&show-anchor=1", process.text(), timestamp_ms)));
    TRY(const auto json, JsonView::parse(answer.body));
    const auto list = json.find("edges") ? json.find("edges")->elements() : std::vector<JsonView>{};
    const auto node = list.empty() ? std::nullopt : list.front().find("node");
    if (!node) {
        TRY(const auto info, this->process(process));
        return info.slots;
    }
    TRY(const auto entry, ao::entry_of(*node, fetch_));
    return entry.assignment.slot.nonce;
}

Result<Slot> HttpScheduler::slot_of(const ProcessId& process, const ItemId& message)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (ours) {
        TRY(const auto answer, unit_.ask("GET", fmt::format("/~altiplano/slot/{}/{}", process.text(), message.text())));
        TRY(const auto json, JsonView::parse(answer.body));
        TRY(const auto nonce, number_in(json, "slot"));
        TRY(const auto real, id_in<ProcessId>(json, "process"));
        return Slot{real, nonce};
    }
    TRY(const auto entry, entry_by_ao(process, message.text()));
    return entry.assignment.slot;
}

Result<Address> HttpScheduler::account(const ProcessId& id)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (!ours)
        return Scheduler::account(id);
    TRY(const auto answer, unit_.ask("GET", "/~altiplano/process/" + id.text()));
    TRY(const auto json, JsonView::parse(answer.body));
    const auto account = json.find("account") ? json.find("account")->string() : std::nullopt;
    return account ? Result<Address>(Address(*account)) : Scheduler::account(id);
}

Result<ProcessInfo> HttpScheduler::process(const ProcessId& id)
{
    TRY(const bool ours, unit_.speaks_ours());
    if (ours) {
        TRY(const auto answer, unit_.ask("GET", "/~altiplano/process/" + id.text()));
        TRY(const auto json, JsonView::parse(answer.body));
        ProcessInfo info{.id = {}, .module = {}, .owner = {}, .scheduler = {}};
        TRY(info.id, id_in<ProcessId>(json, "process"));
        TRY(info.module, id_in<ModuleId>(json, "module"));
        TRY(info.slots, number_in(json, "slots"));
        info.owner = Address(json.find("owner") ? json.find("owner")->string().value_or("") : "");
        info.scheduler = Address(json.find("scheduler") ? json.find("scheduler")->string().value_or("") : "");
        return info;
    }
    TRY(const auto answer, unit_.ask("GET", "/processes/" + id.text()));
    TRY(const auto json, JsonView::parse(answer.body));
    ProcessInfo info{.id = id, .module = {}, .owner = {}, .scheduler = {}};
    std::string text;
    TRY(info.module, ModuleId::parse(first_tag(json, "Module", text)));
    info.scheduler = Address(std::string(first_tag(json, "Scheduler", text)));
    // The hash of the key, as the wire has it, also for Ethereum's (1.5).
    if (const auto owner = json.find("owner"); owner && owner->find("address"))
        info.owner = Address(owner->find("address")->string().value_or(""));
    TRY(const auto last, unit_.ask("GET", fmt::format("/{}/latest?show-anchor=1", id.text())));
    TRY(const auto last_json, JsonView::parse(last.body));
    const auto assignment = last_json.find("assignment");
    const auto nonce = assignment ? first_tag(*assignment, "Nonce", text) : std::string_view{};
    std::uint64_t number = 0;
    if (const auto [end, code] = std::from_chars(nonce.data(), nonce.data() + nonce.size(), number);
        nonce.empty() || code != std::errc{} || end != nonce.data() + nonce.size() || number == UINT64_MAX)
        return bad("has no nonce of the newest message");
    info.slots = number + 1;
    return info;
}

Result<std::vector<ProcessId>> HttpScheduler::processes()
{
    TRY(const bool ours, unit_.speaks_ours());
    std::vector<ProcessId> all;
    if (!ours)
        return all;
    TRY(const auto answer, unit_.ask("GET", "/~altiplano/processes"));
    TRY(const auto json, JsonView::parse(answer.body));
    if (const auto ids = json.find("ids"))
        for (const auto& one : ids->elements()) {
            TRY(const auto id, ProcessId::parse(one.string().value_or("")));
            all.push_back(id);
        }
    return all;
}

Address HttpScheduler::address() const
{
    const auto answer = unit_.ask("GET", "/");
    const auto json = answer ? JsonView::parse(answer->body) : Result<JsonView>(std::unexpected(answer.error()));
    const auto address = json ? json->find("address") : std::nullopt;
    return Address(address ? address->string().value_or("") : "");
}

}  // namespace altiplano::units
