#pragma once

#include "base/result.hpp"
#include "item/tags.hpp"

namespace altiplano::compute {

/// What a process may use for one message: its own tags, else its module's, else these (docs/semantics.md).
struct Limits {
    std::uint64_t memory_bytes = std::uint64_t{1} << 30;
    std::uint64_t gas = 10'000'000'000'000;
    friend bool operator==(const Limits&, const Limits&) = default;
};

/// `<n>-<unit>` as in Memory-Limit. @param name  of what it is, for the error. @return compute.bad_limit
Result<std::uint64_t> memory_size(std::string_view text, std::string_view name);

/// `Memory-Limit` is `<n>-<unit>`, units b, kb, mb, gb, tb of 1024 in any case, or bytes alone; `Compute-Limit` is gas.
/// Above 2^64 - 1 both are that. @return compute.bad_limit
Result<Limits> limits_of(const item::Tags& process, const item::Tags& module);

}  // namespace altiplano::compute
