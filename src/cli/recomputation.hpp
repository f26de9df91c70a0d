#pragma once

#include "base/id.hpp"
#include "base/result.hpp"
#include "units/types.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace altiplano::cli {

/// What a recomputation says while it runs, in order. An error of `each` is the end.
struct Recomputed {
    std::function<Result<void>(const units::SlotResult& result)> each;
    std::function<void(const ItemId& item)> opened{};  ///< items of the weave that the guest opened
};
struct RecomputationEnd {
    bool isolated = false;  ///< whether the kernel kept it from results and images
    std::optional<Error> error;  ///< why it ended early: the log or what is computed from it is wrong, or cannot be had
};

/// Computes a process again in a process of its own, which has given up every file but the log and the blobs of the data folder.
/// @param arguments  of `altiplano recompute`, which this program runs
/// @return what `each` returns; cli.bad_answer when it cannot be started, or dies without saying why
Result<RecomputationEnd> recompute_apart(
    const std::vector<std::string>& arguments, const ProcessId& process, const Recomputed& recomputed);

/// The lines that such a process writes.
std::string isolated_line(bool enforced);
std::string result_line(const units::SlotResult& result);
std::string opened_line(const ItemId& item);

/// Where compiled modules of whoever doubts are kept: none of the node's.
std::string doubters_modules();

}  // namespace altiplano::cli
