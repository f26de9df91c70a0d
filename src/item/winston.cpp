#include "item/winston.hpp"

#include "item/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::item {

std::optional<Winston> Winston::checked(Wide amount)
{
    if (amount >= limit)
        return std::nullopt;
    Winston made;
    made.amount_ = amount;
    return made;
}

Result<Winston> Winston::parse(std::string_view text)
{
    const auto bad = [&] {
        return fail(errors::bad_amount, fmt::format("'{}' is no amount of Winston", text.substr(0, 64)),
            "decimal digits without a leading zero, as they are signed");
    };
    if (text.empty() || text.size() > 39 || (text.size() > 1 && text[0] == '0'))
        return bad();
    Wide amount = 0;
    for (const char c : text) {
        if (c < '0' || c > '9')
            return bad();
        amount = amount * 10 + static_cast<unsigned>(c - '0');
        if (amount >= limit)
            return bad();
    }
    return *checked(amount);
}

std::string Winston::text() const
{
    std::string digits;
    auto rest = amount_;
    do {
        digits += static_cast<char>('0' + static_cast<int>(rest % 10));
        rest /= 10;
    } while (rest != 0);
    std::ranges::reverse(digits);
    return digits;
}

std::optional<Winston> Winston::plus(Winston other) const
{
    return checked(amount_ + other.amount_);
}

std::optional<Winston> Winston::minus(Winston other) const
{
    return other.amount_ > amount_ ? std::nullopt : checked(amount_ - other.amount_);
}

std::optional<Winston> Winston::times(std::uint64_t factor) const
{
    if (factor != 0 && amount_ >= limit / factor)
        return std::nullopt;
    return checked(amount_ * factor);
}

}  // namespace altiplano::item
