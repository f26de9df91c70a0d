#include "node/elsewhere.hpp"

#include "compute/outcome.hpp"
#include "node/errors.hpp"

namespace altiplano::node {

Result<units::LogEntry> FollowingScheduler::entry(const units::Slot& slot)
{
    TRY(auto entry, inner_->entry(slot));
    TRY_OK(follower_.reach(entry.assignment.height));
    return entry;
}

Result<units::Closing> FollowingScheduler::close(const ProcessId& process, std::int64_t until_ms)
{
    TRY(const auto closing, inner_->close(process, until_ms));
    TRY_OK(follower_.reach(closing.height));
    return closing;
}

Result<units::SlotResult> KeptCompute::keep(units::SlotResult result)
{
    TRY_OK(cache_.put_result(compute::to_record(result), compute::outbox_of(result)));
    return result;
}

Result<units::SlotResult> KeptCompute::result(const units::Slot& slot)
{
    TRY(const auto there, cache_.result(slot.process, slot.nonce, slot.cron));
    if (there)
        return compute::from_record(*there);
    TRY(auto result, inner_->result(slot));
    return keep(std::move(result));
}

Result<std::optional<units::SlotResult>> KeptCompute::stored(const units::Slot& slot)
{
    TRY(const auto there, cache_.result(slot.process, slot.nonce, slot.cron));
    if (there)
        return std::optional(compute::from_record(*there));
    TRY(auto result, inner_->stored(slot));
    if (!result)
        return result;
    TRY(auto kept, keep(*std::move(result)));
    return std::optional(std::move(kept));
}

Result<units::Messenger::Accepted> NoMessenger::accept(const item::DataItem&)
{
    return fail(errors::no_unit, "no messenger runs here, and no URL says where one does",
        "name it with --messenger-url, or post to the scheduler's own path");
}

Result<units::Assignment> NoMessenger::assign(const units::AssignRequest&)
{
    return fail(errors::no_unit, "no messenger runs here, and no URL says where one does", "name it with --messenger-url");
}

}  // namespace altiplano::node
