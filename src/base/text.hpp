#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace altiplano {

/// Without spaces at its ends.
std::string_view trimmed(std::string_view text);

/// Digits and nothing else. @return nothing for other text, for none, and above 64 bits
std::optional<std::uint64_t> whole_number(std::string_view text);

}  // namespace altiplano
