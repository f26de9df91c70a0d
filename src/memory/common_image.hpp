#pragma once

#include "memory/image.hpp"

#include <memory>

namespace altiplano::memory {

/// A whole image of a small state that others resemble, kept at hand: those others are written as what they differ in. Nothing in
/// it is believed: what is made of it has to have the root that is asked for. Safe from any thread.
class CommonImage {
public:
    /// The file stays as it is for as long as this lives. @return memory.bad_image, also for one that is too large for this
    /// (`overwritten_state_pages`) or shows items; base.*, memory.kernel
    static Result<KeptImage> read(const File& file);
    ~CommonImage();
    CommonImage(const CommonImage&) = delete;
    CommonImage& operator=(const CommonImage&) = delete;

    const Digest& root() const noexcept { return front_.root; }
    std::uint64_t pages() const noexcept { return places_.size(); }  ///< of its memory
    /// The hashes of 16 pages (`PageTree::arity`), as bytes; zeros where they have none.
    Bytes group(std::uint64_t number) const noexcept;
    /// The bytes of a page; zeros where it has none.
    Bytes page(std::uint64_t number) const noexcept;

private:
    CommonImage() = default;
    Image front_;
    Buffer copied_;  ///< where the file cannot be mapped
    std::byte* mapped_ = nullptr;
    Bytes bytes_;  ///< of the file, as far as the front counts them
    std::vector<std::uint16_t> places_;  ///< per page of the memory: 0, or one more than which page of the file's it is
};

}  // namespace altiplano::memory
