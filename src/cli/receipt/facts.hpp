#pragma once

#include "scheduler/scheduler.hpp"

namespace altiplano::cli {

/// What a receipt says of a slot, each with its name: whatever is said is computed again and compared.
using Facts = std::vector<std::pair<std::string, std::string>>;

/// From the log: which process, message, assignment, chain, block, module and semantics. @return scheduler.*, weave.*
Result<Facts> log_facts(weave::Weave& weave, scheduler::LogReader& log, const units::Slot& slot);
/// From the result: outcome, output, state root, gas.
Facts result_facts(const units::SlotResult& result);

/// In words, the first fact in which a receipt and what was found differ; empty when they are equal.
std::string difference(const Facts& receipt, const Facts& found);

/// The value of a fact; empty when there is none of that name.
std::string fact(const Facts& facts, std::string_view name);

}  // namespace altiplano::cli
