#pragma once

#include "vm/engine.hpp"

#include <optional>
#include <string_view>

/// Engines that make other code than ours does: for lesser processors than this one, or with the gas counted by the engine and
/// not by the module. What they compute, gas too, must be the same.
namespace altiplano::differential {

inline constexpr std::string_view cpu_levels[] = {"native", "no-avx512", "no-avx", "baseline", "fuel", "wide"};

/// @return nothing for a name that is none of them
inline std::optional<vm::Tuning> tuning_of(std::string_view level)
{
    vm::Tuning tuning;
    if (level == cpu_levels[0])
        return tuning;
    if (level == cpu_levels[4]) {
        tuning.gas = vm::Tuning::Gas::by_engine;
        return tuning;
    }
    if (level == cpu_levels[5]) {
        tuning.narrowed = false;
        return tuning;
    }
#if defined(__x86_64__)
    const auto without = [&](std::initializer_list<const char*> features) {
        for (const auto* feature : features)
            tuning.code.emplace_back(feature, "false");
    };
    without({"has_avx512bitalg", "has_avx512dq", "has_avx512vl", "has_avx512vbmi", "has_avx512f", "has_avx512vnni"});
    if (level == cpu_levels[1])
        return tuning;
    without({"has_avx", "has_avx2", "has_avx_vnni", "has_fma", "has_bmi1", "has_bmi2", "has_lzcnt"});
    if (level == cpu_levels[2])
        return tuning;
    without({"has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt", "has_cmpxchg16b"});
#else
    tuning.code.emplace_back("has_lse", "false");
    if (level == cpu_levels[1] || level == cpu_levels[2])
        return tuning;
#endif
    return level == cpu_levels[3] ? std::optional(tuning) : std::nullopt;
}

}  // namespace altiplano::differential
