#include "compute/limits.hpp"

#include "compute/errors.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>

namespace altiplano::compute {

namespace {

/// Digits at the front of `text`, which is shortened by them. Too many make the largest number.
std::optional<std::uint64_t> take_number(std::string_view& text)
{
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code == std::errc::invalid_argument)
        return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return code == std::errc::result_out_of_range ? UINT64_MAX : number;
}

Result<std::uint64_t> gas_limit(std::string_view text)
{
    auto rest = text;
    const auto number = take_number(rest);
    if (!number || !rest.empty())
        return fail(errors::bad_limit, fmt::format("Compute-Limit is {}; a whole number was expected", text));
    return *number;
}

}  // namespace

Result<std::uint64_t> memory_size(std::string_view text, std::string_view name)
{
    auto rest = text;
    const auto number = take_number(rest);
    if (rest.starts_with('-'))
        rest.remove_prefix(1);
    std::string unit(rest);
    std::ranges::transform(unit, unit.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::pair<std::string_view, int> units[] = {{"", 0}, {"b", 0}, {"kb", 10}, {"mb", 20}, {"gb", 30}, {"tb", 40}};
    const auto* const found = std::ranges::find(units, std::string_view(unit), &std::pair<std::string_view, int>::first);
    if (!number || found == std::end(units))
        return fail(errors::bad_limit, fmt::format("{} is {}; <n>-<unit> was expected, unit b, kb, mb, gb or tb", name, text));
    return *number > UINT64_MAX >> found->second ? UINT64_MAX : *number << found->second;
}

Result<Limits> limits_of(const item::Tags& process, const item::Tags& module)
{
    const auto tag = [&](std::string_view name) { return process.first(name) ? process.first(name) : module.first(name); };
    Limits limits;
    if (const auto text = tag("Memory-Limit")) {
        TRY(limits.memory_bytes, memory_size(*text, "Memory-Limit"));
    }
    if (const auto text = tag("Compute-Limit")) {
        TRY(limits.gas, gas_limit(*text));
    }
    return limits;
}

}  // namespace altiplano::compute
