#pragma once

#include "item/signer.hpp"
#include "units/types.hpp"

namespace altiplano::units {

/// What a scheduler decides about a message.
struct AssignmentFields {
    Slot slot;
    ItemId message;
    Digest hash_chain;
    std::uint64_t height = 0;
    BlockHash block_hash;
    std::int64_t timestamp_ms = 0;
    std::optional<Assignment::Semantics> semantics;  ///< slot 0
    std::vector<std::string> exclude{};
    std::optional<ItemId> sent_to{};  ///< the published id that the process stands for, if the message names that
};

/// The signed assignment. Tags in the order of ao-protocol.md 2.3, then ours. The anchor follows from process and nonce,
/// so that with a deterministic signature the same decision is the same item (law 4).
/// @return item.bad_field
Result<Assignment> sign_assignment(const AssignmentFields& fields, const item::Signer& scheduler);

/// Reads what `sign_assignment` writes. The signature is not checked. @return units.bad_assignment with the tag
Result<Assignment> read_assignment(item::DataItem item);

/// The next link: SHA-256(previous assignment id || previous hash chain); the first: SHA-256(process id) (3.3).
Digest first_link(const ProcessId& process);
Digest next_link(const AssignmentId& previous, const Digest& previous_chain);

}  // namespace altiplano::units
