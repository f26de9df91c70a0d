#pragma once

#include "base/files.hpp"
#include "item/tags.hpp"
#include "units/types.hpp"

namespace altiplano::compute {

/// A state in the form in which AO's compute units exchange them (ao-protocol.md 5.11): the memory alone, gzipped. It leaves
/// out globals, and proves nothing: whoever takes one in trusts it until the log was computed.
struct AoCheckpoint {
    Buffer gzip;
    std::uint64_t memory_bytes = 0;
    std::string sha256;  ///< of the memory, in hex
};
inline constexpr std::uint64_t ao_checkpoint_bytes_max = std::uint64_t{256} << 20;  ///< gzipped

/// @param image  a whole image
/// @return compute.no_ao_checkpoint when the state has mapped items or is too large, memory.bad_image, base.*
Result<AoCheckpoint> ao_checkpoint_of(const File& image);

/// The tags of the item that carries it.
item::Tags ao_checkpoint_tags(const units::LogEntry& entry, const ModuleId& module, const AoCheckpoint& checkpoint);

}  // namespace altiplano::compute
