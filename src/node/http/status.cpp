// Which HTTP status an error has.
#include "base/json.hpp"
#include "compute/errors.hpp"
#include "door/errors.hpp"
#include "messenger/errors.hpp"
#include "node/errors.hpp"
#include "node/http/message.hpp"
#include "scheduler/errors.hpp"
#include "weave/errors.hpp"

#include <utility>

namespace altiplano::node::http {

unsigned status_of(std::string_view code)
{
    // The first row whose beginning fits.
    constexpr std::pair<std::string_view, unsigned> table[] = {
        {weave::errors::unknown_item, 404},
        {weave::errors::unknown_block, 404},
        {weave::errors::unknown_chunk, 404},
        {weave::errors::unknown_path, 404},
        {weave::errors::known_transaction, 208},
        {scheduler::errors::unknown_process, 404},
        {scheduler::errors::unknown_slot, 404},
        {scheduler::errors::unknown_message, 404},
        {errors::unknown_path, 404},
        {errors::bad_method, 405},
        {errors::body_over_limit, 413},
        {errors::bad_range, 416},
        {errors::bad_host, 403},
        {errors::development_only, 403},
        {errors::key_needed, 401},
        {errors::too_many_requests, 429},
        {errors::busy, 503},
        {errors::no_unit, 501},
        {errors::stopping, 503},
        {"net.timed_out", 504},
        {"net.bad", 400},
        {"net.", 502},
        {errors::header_over_limit, 431},
        {errors::target_over_limit, 414},
        {errors::too_slow, 408},
        {"base.disk_full", 507},
        {"store.disk_full", 507},
        {"store.too_much_work", 400},
        {"item.", 400},
        {weave::errors::bad_answer, 502},
        {"net.", 502},
        {"weave.bad_", 400},
        {weave::errors::reward_too_low, 400},
        {weave::errors::no_funds, 400},
        {weave::errors::over_limit, 400},
        {weave::errors::unknown_upload, 400},
        {weave::errors::unknown_wallet, 400},
        {"scheduler.broken_log", 500},
        {scheduler::errors::over_quota, 429},
        {"scheduler.", 400},
        {"messenger.unknown_delivery", 404},
        {"messenger.not_allowed", 403},
        {messenger::errors::busy, 503},
        {messenger::errors::refused_elsewhere, 502},
        {"messenger.", 400},
        {"module.", 422},
        {"compute.not_a_module", 422},
        {"compute.unknown_format", 422},
        {"compute.bad_limit", 422},
        {"compute.bad_cron", 422},
        {"units.not_offered", 501},
        {"vm.memory_over_limit", 413},
        {"vm.memory_not_offered", 413},
        {compute::errors::memory_not_offered, 413},
        {compute::errors::before_checkpoint, 404},
        {compute::errors::unknown_slot, 404},
        {compute::errors::computed_already, 409},
        {compute::errors::signer_not_trusted, 403},
        {compute::errors::bad_ao_checkpoint, 422},
        {"compute.", 503},
        {"vm.", 503},
        {"memory.", 503},
        {"base.bad", 400},
        {"units.", 502},
        {door::errors::unknown_model, 404},
        {door::errors::foreign_origin, 403},
        {door::errors::body_over_limit, 413},
        {door::errors::worker_failed, 500},
        {door::errors::no_module, 503},
        {"door.", 400},
        {"node.", 400},
    };
    for (const auto& [beginning, status] : table)
        if (code.starts_with(beginning))
            return status;
    return 500;
}

Reply error_reply(const Error& error)
{
    return {.status = status_of(error.code), .body = error_json(error) + "\n"};
}

}  // namespace altiplano::node::http
