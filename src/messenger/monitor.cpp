// Processes under watch: what their cron sends is delivered, and somebody looks whether something is due.
#include "base/log.hpp"
#include "messenger/errors.hpp"
#include "messenger/messenger.hpp"

#include <charconv>
#include <fmt/format.h>

namespace altiplano::messenger {

namespace {

constexpr std::string_view key_beginning = "monitor ";
constexpr int generations_max = 64;

std::string key_of(const ProcessId& process)
{
    return std::string(key_beginning) + process.text();
}

}  // namespace

/// Whoever owns a process may have it watched. One that was spawned by a process belongs, in the end, to the owner of the
/// first of its line. (The original lets anybody watch and forget any process: ao-protocol.md 4.5.)
Result<ProcessId> LocalMessenger::asked_by_owner(const item::DataItem& asking)
{
    TRY_OK(asking.verify());
    if (!asking.target())
        return fail(errors::not_a_message, "Signed data item is required: its target is the process");
    const ProcessId process(*asking.target());
    auto of = process;
    for (int generation = 0; generation < generations_max; ++generation) {
        TRY(const auto spawn, scheduler_.entry({of, 0}));
        if (spawn.message.owner() == asking.owner())
            return process;
        const auto parent = ProcessId::parse(spawn.message.tags().first("From-Process").value_or(""));
        // Only our own signature says truly who the parent was.
        if (!parent || spawn.message.owner() != authority_.address())
            break;
        of = *parent;
    }
    return fail(errors::not_allowed,
        fmt::format("{} does not own the process {}: only its owner may have it watched", asking.owner().text(), process.text()));
}

Result<void> LocalMessenger::monitor(const item::DataItem& asking)
{
    TRY(const auto process, asked_by_owner(asking));
    TRY_OK(records_.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY(const auto there, writer.meta(key_of(process)));
        if (there)
            return fail(errors::already_monitored, fmt::format("Process already being monitored: {}", process.text()));
        return writer.put_meta(key_of(process), std::to_string(clock_.wall_ms()));
    }));
    begin_looking();
    return {};
}

Result<void> LocalMessenger::unmonitor(const item::DataItem& asking)
{
    TRY(const auto process, asked_by_owner(asking));
    return records_.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY(const auto there, writer.meta(key_of(process)));
        if (!there)
            return fail(errors::not_monitored, fmt::format("Process monitor not found: {}", process.text()));
        return writer.remove_meta(key_of(process));
    });
}

Result<std::optional<std::int64_t>> LocalMessenger::watched_since(const ProcessId& process)
{
    TRY(const auto stored, records_.meta(key_of(process)));
    if (!stored)
        return std::optional<std::int64_t>{};
    std::int64_t since_ms = 0;
    std::from_chars(stored->data(), stored->data() + stored->size(), since_ms);
    return std::optional(since_ms);
}

void LocalMessenger::begin_looking()
{
    const std::lock_guard lock(mutex_);
    if (looking_ || stopping_)
        return;
    looking_ = true;
    watch_->post([this] { look_after_cron(); });
}

/// Looks, then sleeps in short steps, so that it does not hold up the end. Ends when nothing is watched any more.
void LocalMessenger::look_after_cron()
{
    constexpr std::int64_t step_ms = 25;
    while (!stopping_) {
        const auto next_ns = clock_.monotonic_ns() + options_.cron_poll_ms * 1'000'000;
        if (const auto done = poll(); !done)
            log::warning("cron: {} ({})", done.error().sentence, done.error().code);
        {
            const std::lock_guard lock(mutex_);
            const auto watched = records_.metas(key_beginning);
            if (watched && watched->empty()) {
                looking_ = false;
                return;
            }
        }
        while (!stopping_ && clock_.monotonic_ns() < next_ns)
            clock_.sleep_ms(step_ms);
    }
}

Result<void> LocalMessenger::poll()
{
    TRY(const auto watched, records_.metas(key_beginning));
    for (const auto& [key, since] : watched) {
        const auto process = ProcessId::parse(std::string_view(key).substr(key_beginning.size()));
        if (!process)
            continue;
        // In pieces, so that what is sent leaves while the rest is evaluated.
        for (bool more = true; more && !stopping_;) {
            const auto reach = compute_.cron({.process = *process});
            more = reach && reach->left > 0;
            if (!reach)
                log::warning("cron of {}: {} ({})", process->text(), reach.error().sentence, reach.error().code);
            wake(*process);
        }
    }
    return {};
}

}  // namespace altiplano::messenger
