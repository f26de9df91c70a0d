#pragma once

#include "base/files.hpp"
#include "item/tags.hpp"
#include "units/types.hpp"
#include "weave/weave.hpp"

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

/// The tags of the item that carries it. @param root  of the state, a tag of ours: whoever takes the memory in finds out whether
/// globals are missing
item::Tags ao_checkpoint_tags(
    const units::LogEntry& entry, const ModuleId& module, const AoCheckpoint& checkpoint, const Digest& root);

/// What the tags of such an item claim.
struct AoClaim {
    units::Slot slot;
    std::string sha256;  ///< of the memory, in lower-case hex
    ModuleId module;
    std::optional<Digest> root{};  ///< ours say so
};
/// @return compute.bad_ao_checkpoint: which tag is missing or wrong, or says something else than the log
Result<AoClaim> ao_claim_of(const item::Tags& tags);
Result<void> check_against(const item::Tags& tags, const units::Assignment& assignment);

/// Writes the memory that such an item holds into an empty file, zeros as holes. Costs what the memory costs, at most.
/// @param memory_bytes_max  the process's: whatever goes on beyond it is not unpacked
/// @return the memory's length; compute.bad_ao_checkpoint unless it is gzip of a memory with the claimed hash; base.*, weave.*
Result<std::uint64_t> unpack_ao_checkpoint(
    const weave::ItemData& data, const AoClaim& claim, std::uint64_t memory_bytes_max, File& into);

}  // namespace altiplano::compute
