#include "memory/common_image.hpp"

#include "memory/image_front.hpp"
#include "memory/image_layers.hpp"
#include "memory/kernel.hpp"

#include <array>
#include <sys/mman.h>

namespace altiplano::memory {

namespace {
constexpr std::array<std::byte, page_bytes> zero_page{};
static_assert(overwritten_state_pages < UINT16_MAX);
}  // namespace

Result<KeptImage> CommonImage::read(const File& file)
{
    std::shared_ptr<CommonImage> image(new CommonImage);
    TRY(image->front_, read_front(file));
    const auto& front = image->front_;
    const auto bytes = front.file_bytes();
    if (front.base || !front.mapped.empty() || front.page_count() > overwritten_state_pages
        || front.length_bytes > overwritten_memory_bytes)
        return bad_image("is none that others may lie on");
    if (file.descriptor() < 0) {
        image->copied_.resize(bytes);
        TRY_OK(read_exactly(file, 0, image->copied_));
        image->bytes_ = image->copied_;
    } else {
        void* const at = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.descriptor(), 0);
        if (at == MAP_FAILED)
            return kernel_error("map an image");
        image->mapped_ = static_cast<std::byte*>(at);
        image->bytes_ = {image->mapped_, bytes};
    }
    image->places_.resize(front.length_bytes / page_bytes);
    std::uint16_t place = 0;
    for (const auto& run : front.runs)
        for (auto page = run.first; page < end_of(run); ++page)
            image->places_[page] = ++place;
    return image;
}

CommonImage::~CommonImage()
{
    if (mapped_ != nullptr)
        munmap(mapped_, bytes_.size());
}

Bytes CommonImage::group(std::uint64_t number) const noexcept
{
    if (number * PageTree::arity >= places_.size())
        return Bytes(zero_page).first(PageTree::group_bytes);
    // Level 0 of the tree is one array, of whole pages.
    return bytes_.subspan(front_.tree_at() + number * PageTree::group_bytes, PageTree::group_bytes);
}

Bytes CommonImage::page(std::uint64_t number) const noexcept
{
    if (number >= places_.size() || places_[number] == 0)
        return zero_page;
    return bytes_.subspan(front_.front_bytes + (places_[number] - std::uint64_t{1}) * page_bytes, page_bytes);
}

}  // namespace altiplano::memory
