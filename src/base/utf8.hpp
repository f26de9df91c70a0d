#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace altiplano {

bool is_utf8(std::string_view text);

/// The text with U+FFFD in place of what is not UTF-8, as every decoder of the Web does it: one for each longest beginning
/// of a sequence (WHATWG Encoding, 8.1.1).
std::string to_utf8(std::string_view text);

/// Length of the whole sequence at the front of `text`, or 0 when what stands there is none.
/// @param broken  of none: how many bytes one U+FFFD stands for
std::size_t utf8_length(std::string_view text, std::size_t* broken = nullptr);

/// Appends a character. @param code  at most 0x10ffff
void append_utf8(std::string& text, std::uint32_t code);

}  // namespace altiplano
