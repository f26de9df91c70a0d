#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace altiplano {

using Bytes = std::span<const std::byte>;  ///< borrowed, read-only
using Buffer = std::vector<std::byte>;  ///< owned

/// The same memory seen as bytes. Borrowed from `text`.
inline Bytes as_bytes(std::string_view text) noexcept
{
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
/// The same memory seen as text; any byte may be in it. Borrowed from `bytes`.
inline std::string_view as_text(Bytes bytes) noexcept
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Buffer to_buffer(Bytes bytes)
{
    return {bytes.begin(), bytes.end()};
}
inline Buffer to_buffer(std::string_view text)
{
    return to_buffer(as_bytes(text));
}
inline std::string to_string(Bytes bytes)
{
    return std::string(as_text(bytes));
}

inline bool equal(Bytes a, Bytes b) noexcept
{
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

inline void append(Buffer& to, Bytes more)
{
    to.insert(to.end(), more.begin(), more.end());
}

/// Little-endian, eight bytes; the one integer layout of everything we hash or store ourselves.
inline void append_u64(Buffer& to, std::uint64_t value)
{
    for (int shift = 0; shift < 64; shift += 8)
        to.push_back(static_cast<std::byte>(value >> shift));
}

/// @param eight  at least eight bytes
inline std::uint64_t read_u64(Bytes eight) noexcept
{
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i)
        value |= static_cast<std::uint64_t>(eight[i]) << (8 * i);
    return value;
}

}  // namespace altiplano
