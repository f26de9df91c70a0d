#include "cli/file_clock.hpp"

#include <array>
#include <charconv>

namespace altiplano::cli {

std::int64_t FileClock::wall_ms() const
{
    std::array<std::byte, 32> text;
    const auto file = system_files().open(file_, Files::Mode::read);
    const auto got = file ? (*file)->read_at(0, text) : Result<std::size_t>(std::unexpected(file.error()));
    std::int64_t ms = 0;
    if (got) {
        const auto said = as_text(Bytes(text).first(*got));
        std::from_chars(said.data(), said.data() + said.size(), ms);
    }
    return ms;
}

}  // namespace altiplano::cli
