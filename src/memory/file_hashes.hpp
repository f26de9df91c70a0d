#pragma once

#include "base/hash.hpp"
#include "memory/sparse_bytes.hpp"

#include <memory>
#include <optional>

namespace altiplano::memory {

/// Hashes of the pages of a file that nobody changes, remembered for all the memories of this program that show it: a model is
/// hashed once, however many machines map it and however often they sleep.
///
/// A file is known by its device and inode, and by its length and the times of its last change: one that is changed after all
/// has another name here. Any thread; takes no lock and asks for no memory, so a signal's handler may use it.
class FileHashes {
public:
    /// Of the file behind `descriptor`, of this length in pages. Remembers a few files, the newest. nullptr where it cannot.
    static std::shared_ptr<FileHashes> of(int descriptor);

    /// The hash of one page, if somebody has noted it. @param page  of the file
    const Digest* find(std::uint64_t page) const noexcept;
    /// @param hash  of the page's bytes as they are there, under HashKind::page
    void note(std::uint64_t page, const Digest& hash) noexcept;

private:
    FileHashes() = default;
    std::uint64_t pages_ = 0;
    SparseBytes hashes_;
    SparseBytes there_;  ///< a byte per page: whether there is a hash, or one is being written
};

}  // namespace altiplano::memory
