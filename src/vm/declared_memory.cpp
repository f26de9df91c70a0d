#include "vm/declared_memory.hpp"

#include <limits>
#include <optional>

namespace altiplano::vm {

namespace {

/// Takes numbers from the front of hostile bytes.
class Reader {
public:
    explicit Reader(Bytes bytes)
        : rest_(bytes)
    {
    }
    std::optional<std::uint8_t> byte() noexcept
    {
        if (rest_.empty())
            return std::nullopt;
        const auto value = static_cast<std::uint8_t>(rest_.front());
        rest_ = rest_.subspan(1);
        return value;
    }
    /// An unsigned LEB128 of up to 64 bits.
    std::optional<std::uint64_t> number() noexcept
    {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 70; shift += 7) {
            const auto next = byte();
            if (!next)
                return std::nullopt;
            value |= shift < 64 ? std::uint64_t{*next & 0x7FU} << shift : 0;
            if ((*next & 0x80U) == 0)
                return value;
        }
        return std::nullopt;
    }
    std::optional<Bytes> take(std::uint64_t count) noexcept
    {
        if (count > rest_.size())
            return std::nullopt;
        const auto taken = rest_.first(static_cast<std::size_t>(count));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }

private:
    Bytes rest_;
};

constexpr std::uint8_t memory_section = 5;
constexpr std::uint64_t has_maximum = 1;
constexpr std::uint64_t is_64_bit = 4;
constexpr std::uint64_t wasm_page_bytes = 65536;

}  // namespace

std::uint64_t declared_memory_bytes(Bytes wasm) noexcept
{
    constexpr auto unknown = std::numeric_limits<std::uint64_t>::max();
    Reader reader(wasm);
    if (!reader.take(8))  // magic and version
        return unknown;
    for (;;) {
        const auto id = reader.byte();
        const auto size = id ? reader.number() : std::nullopt;
        const auto content = size ? reader.take(*size) : std::nullopt;
        if (!content)
            return unknown;
        if (*id != memory_section)
            continue;
        Reader memory(*content);
        const auto count = memory.number();
        const auto flags = count && *count > 0 ? memory.number() : std::nullopt;
        const auto minimum = flags ? memory.number() : std::nullopt;
        const auto maximum = minimum && (*flags & has_maximum) != 0 ? memory.number() : std::nullopt;
        if (!minimum || ((*flags & has_maximum) != 0 && !maximum))
            return unknown;
        if (maximum)
            return *maximum > unknown / wasm_page_bytes ? unknown : *maximum * wasm_page_bytes;
        return (*flags & is_64_bit) != 0 ? unknown : std::uint64_t{1} << 32;
    }
}

}  // namespace altiplano::vm
