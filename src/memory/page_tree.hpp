#pragma once

#include "memory/region.hpp"

#include <array>
#include <unordered_map>

namespace altiplano::memory {

/// BLAKE3 under a key of its own for each kind of thing, so that no page can pose as a node (docs/state-root.md).
enum class HashKind { page, node, root };
Digest keyed_hash(HashKind kind, Bytes bytes);

/// The hashes over a memory, kept so that a commit hashes what changed and nothing else.
///
/// Leaves are pages, nodes have 16 children, the height is fixed at 7 (2^28 pages, 2^40 bytes). A page of zeros, and a
/// node over nothing but such, hashes to 32 zero bytes and is not kept: what was never touched costs nothing.
class PageTree {
public:
    /// Takes the region's written pages into the tree, commits the region, and says what its state is now.
    /// @param globals  what else is state, as bytes
    /// @return memory.kernel; the region is then as it was, the tree is not: drop both
    Result<Digest> commit(Region& region, Bytes globals);

    /// The hash over all pages.
    Digest root() const;
    /// Sets one leaf. @param page  4096 bytes
    void set_page(std::uint64_t number, Bytes page);
    /// Brings the nodes above the leaves that were set up to date.
    void update();

private:
    static constexpr std::size_t arity = 16;
    static constexpr std::size_t levels = 7;
    using Children = std::array<Digest, arity>;

    void set(std::size_t level, std::uint64_t number, const Digest& hash);

    /// Level 0 holds the hashes of pages, by sixteens; level 6 the children of the one node at the top.
    std::array<std::unordered_map<std::uint64_t, std::unique_ptr<Children>>, levels> levels_;
    std::vector<std::uint64_t> stale_;  ///< groups of level 0 whose parents are not up to date; may repeat
};

/// What a state is, as one hash (docs/state-root.md, format 1).
Digest state_root(const Digest& pages, std::uint64_t length_bytes, Bytes globals, const std::vector<MappedRange>& mapped);

/// The same from nothing but the bytes: the oracle.
Digest state_root_of(Bytes memory, Bytes globals, const std::vector<MappedRange>& mapped);

}  // namespace altiplano::memory
