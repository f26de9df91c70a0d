#pragma once

#include "base/id.hpp"

/// What a worker process and the process that has the card say to each other: packets of records over a socket pair
/// (SOCK_SEQPACKET), bytes in memory that both see. Private to this room.
namespace altiplano::cuda::wire {

enum class Op : std::uint32_t {
    // Answered by a Reply.
    hello,  ///< -> 1 and the card's name; 0: not known yet
    allocate,  ///< a bytes -> address
    weights,  ///< of `item`, b bytes from a on -> address; 0: send them yourself
    staging,  ///< a bytes, the descriptor of a memory file beside -> its number
    program,  ///< c Works, in `staging` from b on -> its number
    finish,
    // By nothing; what fails among them, the next finish says.
    release,  ///< what lies at a
    release_staging,
    upload,  ///< to a, from `staging` b on, c bytes
    download,  ///< from a, to `staging` b on, c bytes
    clear,  ///< a, c bytes
    release_program,  ///< a
    run,  ///< a
};
constexpr bool is_answered(Op op) noexcept
{
    return op <= Op::finish;
}

struct Record {
    Op op{};
    std::uint32_t staging = 0;
    std::uint64_t a = 0, b = 0, c = 0;
    std::array<std::byte, 32> item{};
};
inline constexpr std::size_t records_max = 256;  ///< in a packet

/// The card's memory as both name it.
inline std::byte* pointer(std::uint64_t address) noexcept
{
    return reinterpret_cast<std::byte*>(address);  // NOLINT(performance-no-int-to-ptr): the card's number
}
inline std::uint64_t number(const std::byte* memory) noexcept
{
    return reinterpret_cast<std::uint64_t>(memory);
}

enum class State : std::uint32_t { done, no_card, failed };
struct Reply {
    State state{};
    std::uint32_t reserved = 0;
    std::uint64_t value = 0;
    std::array<char, 240> text{};  ///< a name, or what went wrong; ends with a zero
};

}  // namespace altiplano::cuda::wire
