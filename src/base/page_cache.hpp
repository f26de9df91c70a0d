#pragma once

#include <cstdint>

namespace altiplano {

/// Has the system's cache hold a range of a file in pieces as large as it makes them, whatever pieces it had before: reads it
/// from the disk again. Whoever then goes over the bytes through a mapping, many times, finds their addresses faster
/// (docs/performance.md, `llama`). A wish: where the system does not know such pieces, or has no room, it changes nothing that
/// shows. Not to be done with what somebody is reading: it would wait for the disk.
/// @param descriptor  of a file open for reading; one below 0 is none
/// @param offset  a multiple of 4 KiB @param bytes  inside the file, and less than memory has room for
void cache_in_large_pieces(int descriptor, std::uint64_t offset, std::uint64_t bytes) noexcept;

}  // namespace altiplano
