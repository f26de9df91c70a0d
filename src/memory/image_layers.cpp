// Reads an image and the overlays on it.
#include "memory/image_layers.hpp"

#include "memory/image_front.hpp"
#include "memory/kernel.hpp"
#include "memory/packed_pages.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::memory {

Result<std::vector<Image>> read_chain(std::span<const File* const> layers)
{
    if (layers.empty())
        return bad_image("is missing");
    std::vector<Image> images;
    for (const auto* layer : layers) {
        TRY(auto image, read_front(*layer));
        const auto expected = images.empty() ? std::nullopt : std::optional(images.back().root);
        if (image.base != expected)
            return bad_image(
                images.empty() ? "is an overlay, and what it lies on is missing" : "lies on another one than was given");
        if (image.packed && images.size() != 1)
            return bad_image("is packed, and lies on an overlay");
        if (!images.empty() && image.length_bytes < images.back().length_bytes)
            return bad_image("has a shorter memory than what it lies on");
        images.push_back(std::move(image));
    }
    return images;
}

Result<void> read_exactly(const File& file, std::uint64_t offset, std::span<std::byte> into)
{
    TRY(const auto got, file.read_at(offset, into));
    if (got < into.size())
        return bad_image("ends before its end");
    return {};
}

Result<void> load_tree(std::span<const File* const> layers, std::span<const Image> images, PageTree& tree)
{
    const auto& whole = images.front();
    auto at = whole.tree_at();
    for (std::size_t level = 0; level < PageTree::levels; ++level) {
        const auto bytes = PageTree::level_bytes(level, whole.length_bytes / page_bytes);
        if (bytes > small_tree_bytes && layers.front()->descriptor() >= 0) {
            TRY_OK(tree.load_level(level, bytes, layers.front()->descriptor(), at));
        } else {
            Buffer hashes(std::min(bytes, small_tree_bytes));
            for (std::uint64_t done = 0; done < bytes; done += hashes.size()) {
                const auto part = std::span(hashes).first(std::min<std::size_t>(hashes.size(), bytes - done));
                TRY_OK(read_exactly(*layers.front(), at + done, part));
                for (std::size_t i = 0; i < part.size(); i += PageTree::group_bytes) {
                    const auto group = Bytes(part).subspan(i, PageTree::group_bytes);
                    if (!is_zero(group))
                        TRY_OK(tree.load_group(level, (done + i) / PageTree::group_bytes, group));
                }
            }
        }
        at += bytes;
    }
    for (std::size_t i = 1; i < layers.size(); ++i)
        TRY_OK(each_group_of(*layers[i], images[i],
            [&](std::uint64_t level, std::uint64_t number, Bytes hashes) { return tree.load_group(level, number, hashes); }));
    tree.believe(images.back().pages_root);
    return {};
}

Result<void> each_group_of(const File& file, const Image& image, const VisitGroup& visit)
{
    Buffer records(image.groups * group_record_bytes);
    TRY_OK(read_exactly(file, image.tree_at(), records));
    for (Bytes rest(records); !rest.empty(); rest = rest.subspan(group_record_bytes))
        TRY_OK(visit(read_u64(rest), read_u64(rest.subspan(8)), rest.subspan(16, PageTree::group_bytes)));
    return {};
}

std::uint64_t state_pages(const PageTree& tree)
{
    std::uint64_t pages = 0;
    tree.each_group([&](std::uint64_t) { pages += PageTree::arity; });
    return pages;
}

Result<Buffer> read_packed(const File& file, const Image& image)
{
    const auto at = image.tree_at() + image.groups * group_record_bytes;
    TRY(const auto size, file.size());
    if (image.page_count() > overwritten_state_pages || size < at || size - at > image.page_count() * packed_page_bytes_max)
        return bad_image(fmt::format("has {} bytes for {} packed pages", size - std::min(size, at), image.page_count()));
    Buffer packed(size - at);
    TRY_OK(read_exactly(file, at, packed));
    return packed;
}

Result<void> each_packed(const Image& image, Bytes packed, const VisitPacked& visit)
{
    for (const auto& run : image.runs)
        for (auto page = run.first; page < end_of(run); ++page) {
            const auto first = first_packed(packed);
            if (!first)
                return bad_image("ends inside its packed pages");
            packed = packed.subspan(first->size());
            TRY_OK(visit(page, *first));
        }
    return {};
}

}  // namespace altiplano::memory
