#pragma once

#include "item/tags.hpp"
#include "weave/weave.hpp"

namespace altiplano::drive {

/// Who asks for an item: a process at the height of one of its messages. Borrows the tags.
struct Reader {
    const item::Tags& process;
    const item::Tags& module;
    std::uint64_t height = 0;
};

/// Whether this node can say which items a process will be admitted to: asked before there is a slot 0.
/// `Library` is refused. The published WeaveDrive names it and throws; no text says which attestation puts an item into a
/// library, so whatever we took it to mean, a process that relied on it would read other items on another node
/// (ao-protocol.md 7.1).
/// @return drive.unsupported_mode
Result<void> check_mode(const item::Tags& process, const item::Tags& module);

/// Whether a process may read an item: a function of the weave up to the message's height (ao-protocol.md 7.1).
/// `On-Boot` items always; else `Extension: WeaveDrive` on process or module, and by `Availability-Type`
///   Assignments (also when absent): an attestation by the scheduler or an Attestor of the process,
///   Individual: that, or that they called it available.
/// @return drive.unsupported_mode, store.*
Result<bool> admits(weave::Weave& weave, const Reader& reader, const ItemId& item);

}  // namespace altiplano::drive
