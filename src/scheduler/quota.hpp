#pragma once

#include "store/records.hpp"

#include <set>

namespace altiplano::scheduler {

/// How many processes one account may have here. Asked before a spawn gets its slot, and counted in the transaction that gives
/// it: a process that has a slot is never refused for it, so no result follows from a quota.
class Quota {
public:
    struct Limits {
        std::uint64_t processes = 0;  ///< of an account, in all; 0: no limit
        std::uint64_t spawns_per_hour = 0;  ///< in one hour of the clock; 0: no limit
        std::set<std::string> exempt{};  ///< accounts without limits: this node's own
    };
    explicit Quota(Limits limits)
        : limits_(std::move(limits))
    {
    }

    /// Who answers for a process: whoever signed its spawn, or when a process spawned it, whoever answers for that one.
    /// @return scheduler.unknown_process
    static Result<std::string> account_of(store::RecordsReader& records, const ProcessId& process);

    /// Whether one more may be spawned. @return scheduler.over_quota with what there is and what is allowed
    Result<void> check(store::RecordsReader& records, const std::string& account, std::int64_t now_ms) const;
    /// Counts a spawn, in its transaction. @return as `check`
    Result<void> charge(store::RecordsWriter& records, const store::ProcessRecord& spawned, const std::string& account,
        std::int64_t now_ms) const;

private:
    Limits limits_;
};

}  // namespace altiplano::scheduler
