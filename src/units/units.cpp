#include "units/units.hpp"

#include "units/errors.hpp"

namespace altiplano::units {

Result<Closing> Scheduler::close(const ProcessId&, std::int64_t)
{
    return fail(errors::not_offered, "this scheduler does not promise how far a process's time is settled",
        "cron is evaluated up to the newest message of the process");
}

Result<Address> Scheduler::account(const ProcessId& id)
{
    TRY(auto info, process(id));
    return std::move(info.owner);
}

Result<std::vector<SlotResult>> Compute::results(const ResultQuery&)
{
    return fail(errors::not_offered, "this compute unit does not list results");
}

Result<CronReach> Compute::cron(const CronRequest&)
{
    return fail(errors::not_offered, "this compute unit does not evaluate cron");
}

Result<std::optional<Slot>> Compute::begins_after(const ProcessId&)
{
    return std::optional<Slot>{};
}

Result<ItemId> Messenger::push(const Slot&, std::uint64_t)
{
    return fail(errors::not_offered, "this messenger does not push again");
}

Result<void> Messenger::monitor(const item::DataItem&)
{
    return fail(errors::not_offered, "this messenger does not look after cron");
}

Result<void> Messenger::unmonitor(const item::DataItem&)
{
    return fail(errors::not_offered, "this messenger does not look after cron");
}

}  // namespace altiplano::units
