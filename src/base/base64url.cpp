#include "base/base64url.hpp"

#include "base/errors.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace altiplano {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t no_digit = 0xff;

constexpr std::array<std::uint8_t, 256> digits = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(no_digit);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    return table;
}();

}  // namespace

std::string base64url(Bytes bytes)
{
    std::string text;
    text.reserve((bytes.size() * 4 + 2) / 3);
    std::uint32_t bits = 0;
    int held = 0;
    for (const auto byte : bytes) {
        bits = bits << 8 | static_cast<std::uint32_t>(byte);
        held += 8;
        while (held >= 6) {
            held -= 6;
            text.push_back(alphabet[bits >> held & 63]);
        }
    }
    if (held > 0)
        text.push_back(alphabet[bits << (6 - held) & 63]);
    return text;
}

Result<Buffer> from_base64url(std::string_view text)
{
    if (text.size() % 4 == 1)
        return fail(errors::bad_base64url, fmt::format("{} characters cannot be base64url: one is left over", text.size()));
    Buffer bytes;
    bytes.reserve(text.size() * 3 / 4);
    std::uint32_t bits = 0;
    int held = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = digits[static_cast<unsigned char>(text[i])];
        if (digit == no_digit)
            return fail(errors::bad_base64url,
                fmt::format("character {} is byte 0x{:02x}, which is not in the base64url alphabet", i,
                    static_cast<unsigned char>(text[i])));
        bits = bits << 6 | digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes.push_back(static_cast<std::byte>(bits >> held));
        }
    }
    // Left-over bits must be zero, or two texts would name the same bytes.
    if ((bits & ((1U << held) - 1)) != 0)
        return fail(errors::bad_base64url, "the last character carries bits that belong to no byte");
    return bytes;
}

std::string base64(Bytes bytes)
{
    auto text = base64url(bytes);
    std::ranges::replace(text, '-', '+');
    std::ranges::replace(text, '_', '/');
    text.resize((text.size() + 3) / 4 * 4, '=');
    return text;
}

Result<Buffer> from_base64(std::string_view text)
{
    if (text.size() % 4 != 0 || text.find_first_of("-_") != text.npos)
        return fail(errors::bad_base64url, "this is not base64 with its padding");
    const auto padding = text.size() - std::min(text.size(), text.find_last_not_of('=') + 1);
    if (padding > 2)
        return fail(errors::bad_base64url, fmt::format("base64 has at most two '=' at its end, not {}", padding));
    std::string url(text.substr(0, text.size() - padding));
    std::ranges::replace(url, '+', '-');
    std::ranges::replace(url, '/', '_');
    return from_base64url(url);
}

std::string hex(Bytes bytes)
{
    constexpr std::string_view nibbles = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        text.push_back(nibbles[static_cast<std::size_t>(byte >> 4)]);
        text.push_back(nibbles[static_cast<std::size_t>(byte & std::byte{15})]);
    }
    return text;
}

Result<Buffer> from_hex(std::string_view text)
{
    const auto nibble = [](char c) -> int {
        if (c >= '0' && c <= '9')
            return c - '0';
        if (c >= 'a' && c <= 'f')
            return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
            return c - 'A' + 10;
        return -1;
    };
    if (text.size() % 2 != 0)
        return fail(errors::bad_hex, fmt::format("{} hexadecimal digits make no whole number of bytes", text.size()));
    Buffer bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = nibble(text[i]);
        const int low = nibble(text[i + 1]);
        if (high < 0 || low < 0)
            return fail(errors::bad_hex, fmt::format("'{}' at {} is not a hexadecimal byte", text.substr(i, 2), i));
        bytes.push_back(static_cast<std::byte>(high << 4 | low));
    }
    return bytes;
}

}  // namespace altiplano
