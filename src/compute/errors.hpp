#pragma once

#include <string_view>

/// The codes of the room `compute`. All are HostFaults or refusals: nothing is recorded for the slot.
namespace altiplano::compute::errors {
inline constexpr std::string_view worker_died = "compute.worker_died";  ///< killed or crashed: the slot stays open
inline constexpr std::string_view worker_protocol = "compute.worker_protocol";  ///< it said what no worker says
inline constexpr std::string_view unknown_extension =
    "compute.unknown_extension";  ///< an extension that this node does not have, or does not offer
inline constexpr std::string_view not_a_module = "compute.not_a_module";  ///< the item that Module names is no module
inline constexpr std::string_view unknown_format = "compute.unknown_format";  ///< a Module-Format that this node does not run
inline constexpr std::string_view bad_limit = "compute.bad_limit";  ///< a Memory-Limit or Compute-Limit that says nothing
inline constexpr std::string_view memory_not_offered =
    "compute.memory_not_offered";  ///< the process may need more memory than this node offers
inline constexpr std::string_view other_semantics =
    "compute.other_semantics";  ///< slot 0 records semantics that this program does not have
inline constexpr std::string_view disagreement = "compute.disagreement";  ///< a recomputation differs: the process is not served
inline constexpr std::string_view bad_dry_run = "compute.bad_dry_run";  ///< a body that is no message
inline constexpr std::string_view unknown_slot = "compute.unknown_slot";
inline constexpr std::string_view stopping = "compute.stopping";  ///< the node is going down
inline constexpr std::string_view bad_cron = "compute.bad_cron";  ///< a Cron-Interval that says nothing
inline constexpr std::string_view cron_parked = "compute.cron_parked";  ///< more evaluations are due than are done unasked
inline constexpr std::string_view no_ao_checkpoint = "compute.no_ao_checkpoint";  ///< AO's format cannot hold the state
inline constexpr std::string_view bad_ao_checkpoint = "compute.bad_ao_checkpoint";  ///< it is not what its tags and the log say
inline constexpr std::string_view signer_not_trusted =
    "compute.signer_not_trusted";  ///< checkpoints of that signer are not taken in here
inline constexpr std::string_view before_checkpoint =
    "compute.before_checkpoint";  ///< the process goes on here from a checkpoint after that slot
inline constexpr std::string_view computed_already = "compute.computed_already";  ///< a checkpoint of what has a result here
inline constexpr std::string_view compilation_over_limit =
    "compute.compilation_over_limit";  ///< compiling the module takes more time or memory than a worker may use for it
inline constexpr std::string_view sandbox = "compute.sandbox";  ///< the kernel refused to lock a worker in
}  // namespace altiplano::compute::errors
