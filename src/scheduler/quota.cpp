#include "scheduler/quota.hpp"

#include "base/text.hpp"
#include "scheduler/errors.hpp"

#include <fmt/format.h>

namespace altiplano::scheduler {

namespace {

constexpr std::int64_t hour_ms = 3'600'000;

/// "12 471000 3": twelve in all, three of them in hour 471000 since 1970.
struct Count {
    std::uint64_t all = 0;
    std::uint64_t hour = 0;
    std::uint64_t in_hour = 0;
};

std::string count_key(const std::string& account)
{
    return "spawned " + account;
}
std::string account_key(const ProcessId& process)
{
    return "account " + process.text();
}

Result<Count> read(store::RecordsReader& records, const std::string& account, std::int64_t now_ms)
{
    Count count;
    TRY(const auto stored, records.meta(count_key(account)));
    std::string_view rest = stored ? std::string_view(*stored) : std::string_view();
    for (auto* const field : {&count.all, &count.hour, &count.in_hour}) {
        const auto word = rest.substr(0, rest.find(' '));
        *field = whole_number(word).value_or(0);
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    // A clock that went back counts on in the hour that was counted last.
    const auto hour = static_cast<std::uint64_t>(std::max<std::int64_t>(now_ms, 0) / hour_ms);
    if (hour > count.hour) {
        count.hour = hour;
        count.in_hour = 0;
    }
    return count;
}

}  // namespace

Result<std::string> Quota::account_of(store::RecordsReader& records, const ProcessId& process)
{
    TRY(const auto charged, records.meta(account_key(process)));
    if (charged)
        return *charged;
    TRY(const auto record, records.process(process));
    if (!record)
        return fail(errors::unknown_process, fmt::format("there is no process {} here", process.text()));
    return record->owner;
}

Result<void> Quota::check(store::RecordsReader& records, const std::string& account, std::int64_t now_ms) const
{
    if ((limits_.processes == 0 && limits_.spawns_per_hour == 0) || limits_.exempt.contains(account))
        return {};
    TRY(const auto count, read(records, account, now_ms));
    if (limits_.processes > 0 && count.all >= limits_.processes)
        return fail(errors::over_quota,
            fmt::format("{} answers for {} processes here and would for {}; at most {} are taken", account, count.all,
                count.all + 1, limits_.processes),
            "whoever runs the node may allow more (--processes-per-owner); or ask another node");
    if (limits_.spawns_per_hour > 0 && count.in_hour >= limits_.spawns_per_hour)
        return fail(errors::over_quota,
            fmt::format("{} has spawned {} processes in this hour; at most {} are taken", account, count.in_hour,
                limits_.spawns_per_hour),
            fmt::format("the next hour begins in {} s", (hour_ms - now_ms % hour_ms) / 1000 + 1));
    return {};
}

Result<void> Quota::charge(
    store::RecordsWriter& records, const store::ProcessRecord& spawned, const std::string& account, std::int64_t now_ms) const
{
    TRY_OK(check(records, account, now_ms));
    TRY(const auto count, read(records, account, now_ms));
    TRY_OK(records.put_meta(count_key(account), fmt::format("{} {} {}", count.all + 1, count.hour, count.in_hour + 1)));
    return account == spawned.owner ? Result<void>{} : records.put_meta(account_key(spawned.id), account);
}

}  // namespace altiplano::scheduler
