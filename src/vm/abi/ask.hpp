#pragma once

// What host functions are written with: errors that stop the message pass up, values go into guest memory.

#include "vm/guest.hpp"

#include <algorithm>
#include <span>

namespace altiplano::vm::abi {

using Arguments = std::span<const Value>;

#define ALTIPLANO_ANSWER_(temporary, declaration, ...)                                                                           \
    auto temporary = (__VA_ARGS__);                                                                                              \
    if (!temporary)                                                                                                              \
        return std::unexpected(std::move(temporary).error());                                                                    \
    declaration = *std::move(temporary)
#define ASK(declaration, ...) ALTIPLANO_ANSWER_(ALTIPLANO_CONCAT(ask_, __COUNTER__), declaration, __VA_ARGS__)
#define ASK_OK(...)                                                                                                              \
    do {                                                                                                                         \
        if (auto answered = (__VA_ARGS__); !answered)                                                                            \
            return std::unexpected(std::move(answered).error());                                                                 \
    } while (false)

inline Answer<void> put(Guest& guest, std::uint64_t address, Bytes bytes)
{
    ASK(const auto into, guest.write(address, bytes.size()));
    std::ranges::copy(bytes, into.begin());
    return {};
}

inline Answer<void> put_u64(Guest& guest, std::uint64_t address, std::uint64_t v)
{
    Buffer bytes;
    append_u64(bytes, v);
    return put(guest, address, bytes);
}

inline Answer<void> put_u32(Guest& guest, std::uint64_t address, std::uint32_t v)
{
    Buffer bytes;
    append_u64(bytes, v);
    return put(guest, address, Bytes(bytes).first(4));
}

/// What both ABIs charge: per call, per byte moved, per file that is looked for.
inline constexpr std::uint64_t call_gas = 100;
inline constexpr std::uint64_t open_gas = 1000;
inline constexpr std::uint64_t byte_gas = 1;

/// A scatter list of pointers and lengths of the guest's width.
struct Iov {
    std::uint64_t address;
    std::uint64_t length;
};
/// @return nothing when it is too long
Answer<std::optional<std::vector<Iov>>> read_iovs(Guest& guest, std::uint64_t address, std::uint64_t count);
/// Reads a file into guest memory from `offset`. @return the bytes read
Answer<std::uint64_t> read_file_at(Guest& guest, GuestFile& file, std::uint64_t offset, const std::vector<Iov>& iovs);
/// What a guest prints to its stream `fd`. @return the bytes
Answer<std::uint64_t> print(Guest& guest, int fd, const std::vector<Iov>& iovs);

}  // namespace altiplano::vm::abi
