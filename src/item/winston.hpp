#pragma once

#include "base/result.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace altiplano::item {

/// An amount of AR's smallest unit, 10^-12 AR. All that there will be is past 64 bits; sums are checked.
class Winston {
public:
    constexpr Winston() = default;
    constexpr explicit Winston(std::uint64_t amount)
        : amount_(amount)
    {
    }
    /// Decimal digits as they are signed: no sign, no leading zero, below 2^127. @return item.bad_amount
    static Result<Winston> parse(std::string_view text);

    std::string text() const;
    bool is_zero() const noexcept { return amount_ == 0; }
    std::optional<Winston> plus(Winston other) const;  ///< nothing at 2^127
    std::optional<Winston> minus(Winston other) const;  ///< nothing below zero
    std::optional<Winston> times(std::uint64_t factor) const;

    friend auto operator<=>(const Winston&, const Winston&) = default;

private:
    __extension__ using Wide = unsigned __int128;
    static constexpr Wide limit = Wide{1} << 127;
    static std::optional<Winston> checked(Wide amount);
    Wide amount_ = 0;
};

}  // namespace altiplano::item
