#pragma once

#include "memory/image.hpp"

namespace altiplano::memory {

inline constexpr std::uint64_t group_record_bytes = 8 + 8 + PageTree::group_bytes;  ///< level, number, hashes

std::unexpected<Error> bad_image(std::string sentence);

/// The front as bytes; sets `front_bytes`.
Buffer write_front(Image& image);
/// @return memory.bad_image unless the front is as it was written, fits the file, and its root follows from it
Result<Image> read_front(const File& file);

}  // namespace altiplano::memory
