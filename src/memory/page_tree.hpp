#pragma once

#include "memory/region.hpp"
#include "memory/sparse_bytes.hpp"

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>

namespace altiplano::memory {

/// BLAKE3 under a key of its own for each kind of thing, so that no page can pose as a node (docs/state-root.md).
enum class HashKind { page, node, root };
Digest keyed_hash(HashKind kind, Bytes bytes);
/// The same of many inputs of one length, side by side: for pages and nodes a few times quicker than one by one.
/// Inputs of zeros hash to zeros.
void tree_hashes(HashKind kind, std::span<const std::byte* const> inputs, std::size_t length, std::span<Digest> into);

/// The hashes over a memory, kept so that a commit hashes what changed and nothing else.
///
/// Leaves are pages, nodes have 16 children, the height is fixed at 7 (2^28 pages, 2^40 bytes). A page of zeros, and a
/// node over nothing but such, hashes to 32 zero bytes: what was never touched costs nothing. Each level is one sparse
/// array, of a shape that a file can hold, so that a tree comes back by mapping it. What comes from a file is believed only
/// as far as it hashes to the root: each group of hashes is checked at its first use.
///
/// One thread. The address is lent to a region that was restored: it stays for that region's life.
class PageTree final : public PageCheck {
public:
    static constexpr std::size_t arity = 16;
    static constexpr std::size_t levels = 7;
    static constexpr std::uint64_t group_bytes = arity * Digest::size;  ///< the hashes of the children of one node

    /// An empty tree for a memory of up to `bytes_max`. @return memory.kernel
    static Result<PageTree> reserve(std::uint64_t bytes_max);
    PageTree() = default;

    /// Takes the region's written pages into the tree, commits the region, and says what its state is now.
    /// @param globals  what else is state, as bytes
    /// @return memory.kernel, memory.bad_image; the region and the tree may then differ: drop both
    Result<Digest> commit(Region& region, Bytes globals);

    /// The same in two steps, so that the guest goes on meanwhile. The first commits the region; pages that are written every
    /// time are not hashed yet. @return as `commit`
    Result<void> begin(Region& region, Bytes globals);
    /// Hashes what `begin` left, from what the region keeps of it. On any thread, also while the guest writes; once after each
    /// `begin`, before anything else is asked of the tree. Checks of pages wait for it. @return memory.bad_image
    Result<Digest> finish();

    /// The hash over all pages.
    Digest root() const;
    /// Sets one leaf. @param page  4096 bytes @return whether the hash is another one
    /// Cost: a hash; checks what was loaded and is not checked yet, see `broken`.
    bool set_page(std::uint64_t number, Bytes page);
    /// Brings the nodes above the leaves that were set up to date.
    void update();

    bool check_hashes(std::uint64_t first, std::span<const Digest> hashes) noexcept override;
    /// The same of their bytes.
    bool check_pages(std::uint64_t first, Bytes bytes) noexcept;
    /// Whether hashes that were loaded proved wrong. Nothing that followed from them counts.
    bool broken() const noexcept { return broken_; }
    /// Checks every group of hashes that is there. @return whether all are what the root says
    bool check_all() noexcept;
    /// Whether a page has a hash, that is, anything but zeros. What was loaded is believed.
    bool has_page(std::uint64_t page) const noexcept;
    /// The hash of a page. What was loaded is believed.
    Digest page(std::uint64_t number) const noexcept;
    struct Leaf {
        std::uint64_t page = 0;
        Digest hash;
    };
    /// Every page that has a hash, ascending. What was loaded is believed.
    std::vector<Leaf> pages() const;
    /// Visits the groups of level 0 that hold a hash, ascending; costs what is there.
    void each_group(const std::function<void(std::uint64_t group)>& visit) const;

    /// How many bytes level `level` takes for a memory of `pages`; whole pages.
    static std::uint64_t level_bytes(std::size_t level, std::uint64_t pages);
    /// The 16 hashes of one node's children, as bytes.
    Bytes group(std::size_t level, std::uint64_t number) const noexcept;
    /// Loads a level from a file, or one group from bytes, to be checked against `root`, the hash over all pages.
    Result<void> load_level(std::size_t level, std::uint64_t bytes, int descriptor, std::uint64_t offset);
    Result<void> load_group(std::size_t level, std::uint64_t number, Bytes hashes);
    void believe(const Digest& root) noexcept;

private:
    using Children = std::array<Digest, arity>;
    static_assert(sizeof(Children) == group_bytes);

    Children& children(std::size_t level, std::uint64_t number) const noexcept;
    bool fits(std::size_t level, std::uint64_t number) const noexcept;
    bool checked(std::size_t level, std::uint64_t number) noexcept;
    void set(std::size_t level, std::uint64_t number, const Digest& hash);
    bool set_leaf(std::uint64_t number, const Digest& hash);

    std::array<SparseBytes, levels> levels_;  ///< level 0: the hashes of pages; level 6: the children of the one node at the top
    std::array<SparseBytes, levels> checked_;  ///< a byte per group, only where `loaded_`
    bool loaded_ = false;
    bool broken_ = false;
    Digest loaded_root_;
    /// What `begin` left to do.
    struct Begun {
        std::vector<std::uint64_t> pages;
        std::vector<const std::byte*> kept;
        std::uint64_t length_bytes = 0;
        Buffer globals;
        std::vector<MappedRange> mapped;
    };
    std::optional<Begun> begun_;
    std::vector<std::uint64_t> cooled_;  ///< pages that `finish` found unchanged
    /// Between `begin` and the end of `finish`.
    std::unique_ptr<std::atomic<bool>> unfinished_ = std::make_unique<std::atomic<bool>>(false);
    std::vector<std::uint64_t> stale_;  ///< groups of level 0 whose parents are not up to date; may repeat
};

/// The pages that differ, as ranges.
std::vector<PageRange> differences(std::span<const PageTree::Leaf> before, std::span<const PageTree::Leaf> after);

/// What a state is, as one hash (docs/state-root.md, format 1).
Digest state_root(const Digest& pages, std::uint64_t length_bytes, Bytes globals, const std::vector<MappedRange>& mapped);

/// The same from nothing but the bytes: the oracle, which shares no code with the tree but the hash.
Digest state_root_of(Bytes memory, Bytes globals, const std::vector<MappedRange>& mapped);

}  // namespace altiplano::memory
