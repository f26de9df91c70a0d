// Puts a state over the one that a region has.
#include "memory/common_image.hpp"
#include "memory/image_front.hpp"
#include "memory/image_layers.hpp"
#include "memory/kernel.hpp"
#include "memory/packed_pages.hpp"

#include <algorithm>
#include <cstring>
#include <map>

namespace altiplano::memory {

namespace {

/// The state to come over another one, sixteen pages at a time: their hashes, and where they lie. Nothing of it is believed.
struct Source {
    std::array<Digest, PageTree::arity> hashes{};
    std::array<const File*, PageTree::arity> files{};
    std::array<std::uint64_t, PageTree::arity> offsets{};
    std::array<Bytes, PageTree::arity> packed{};

    void take_hashes(Bytes from) { std::memcpy(hashes.data(), from.data(), PageTree::group_bytes); }
};
struct Sources : std::map<std::uint64_t, Source> {
    Buffer packed;  ///< what theirs lie in
};

/// The groups of an overlay.
Result<void> take_groups(const File& file, const Image& image, Sources& sources)
{
    return each_group_of(file, image, [&](std::uint64_t level, std::uint64_t number, Bytes hashes) -> Result<void> {
        if (level == 0)
            sources[number].take_hashes(hashes);
        return {};
    });
}

/// As newer layers have them. @return nothing where they are too many
Result<std::optional<Sources>> pages_of_layers(std::span<const File* const> layers, std::span<const Image> images)
{
    Sources sources;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const auto& image = images[i];
        if (image.packed || image.page_count() > overwritten_state_pages || image.groups > overwritten_state_pages * 2
            || (!image.runs.empty() && end_of(image.runs.back()) * page_bytes > images.back().length_bytes))
            return std::optional<Sources>{};
        auto at = image.front_bytes;
        for (const auto& run : image.runs) {
            const auto first = run.first / PageTree::arity;
            const auto count = (end_of(run) - 1) / PageTree::arity + 1 - first;
            if (!image.base) {
                Buffer hashes(count * PageTree::group_bytes);
                TRY_OK(read_exactly(*layers[i], image.tree_at() + first * PageTree::group_bytes, hashes));
                for (std::uint64_t group = 0; group < count; ++group)
                    sources[first + group].take_hashes(
                        Bytes(hashes).subspan(group * PageTree::group_bytes, PageTree::group_bytes));
            }
            for (auto page = run.first; page < end_of(run); ++page, at += page_bytes) {
                auto& source = sources[page / PageTree::arity];
                source.files[page % PageTree::arity] = layers[i];
                source.offsets[page % PageTree::arity] = at;
            }
        }
        if (image.groups != 0)
            TRY_OK(take_groups(*layers[i], image, sources));
    }
    return std::optional(std::move(sources));
}

/// The same of a packed overlay. @return nothing where what it lies on is too large
Result<std::optional<Sources>> pages_of_packed(
    std::span<const File* const> layers, std::span<const Image> images, KeptImage& common)
{
    const auto& image = images.back();
    if (!common || common->root() != *image.base) {
        TRY(common, CommonImage::read(*layers.front()));
    }
    if (image.groups > overwritten_state_pages * 2 || image.length_bytes < common->pages() * page_bytes)
        return std::optional<Sources>{};
    Sources sources;
    for (std::uint64_t group = 0; group * PageTree::arity < common->pages(); ++group)
        if (const auto hashes = common->group(group); !is_zero(hashes))
            sources[group].take_hashes(hashes);
    TRY_OK(take_groups(*layers.back(), image, sources));
    TRY(sources.packed, read_packed(*layers.back(), image));
    TRY_OK(each_packed(image, sources.packed, [&](std::uint64_t page, Bytes packed) -> Result<void> {
        sources[page / PageTree::arity].packed[page % PageTree::arity] = packed;
        return {};
    }));
    return std::optional(std::move(sources));
}

}  // namespace

bool may_be_overwritten(const Region& region, const PageTree& tree)
{
    if (!region.mapped_ranges().empty() || region.bytes().size() > overwritten_memory_bytes)
        return false;
    return state_pages(tree) <= overwritten_state_pages;
}

Result<std::optional<Image>> overwrite_with_image(
    std::span<const File* const> layers, Region& region, PageTree& tree, KeptImage& common)
{
    const auto not_here = [] { return std::optional<Image>{}; };
    TRY(auto images, read_chain(layers));
    auto& newest = images.back();
    if (!newest.mapped.empty() || newest.length_bytes < region.bytes().size() || newest.length_bytes > region.reserved_bytes()
        || !may_be_overwritten(region, tree))
        return not_here();
    // What this state came from may be damaged where nobody has looked yet: that is no matter of the other's.
    if (!region.examine({0, region.bytes().size() / page_bytes}) || !tree.check_all())
        return not_here();

    auto coming = newest.packed ? pages_of_packed(layers, images, common) : pages_of_layers(layers, images);
    if (!coming)
        return std::unexpected(coming.error());
    if (!*coming)
        return not_here();
    auto& groups = **coming;
    // Groups that this state has and the other has not become zeros.
    tree.each_group([&](std::uint64_t group) { groups[group]; });

    TRY_OK(region.grow(newest.length_bytes));
    const auto pages = newest.length_bytes / page_bytes;
    for (const auto& [group, source] : groups)
        for (std::size_t i = 0; i < PageTree::arity; ++i) {
            const auto page = group * PageTree::arity + i;
            const auto& hash = source.hashes[i];
            if (page >= pages || tree.page(page) == hash)
                continue;
            TRY_OK(region.prepare_write(page * page_bytes, page_bytes));
            const auto into = region.bytes().subspan(page * page_bytes, page_bytes);
            if (hash.is_zero()) {
                std::ranges::fill(into, std::byte{});
            } else if (source.files[i] != nullptr) {
                TRY_OK(read_exactly(*source.files[i], source.offsets[i], into));
            } else if (newest.packed) {
                std::ranges::copy(common->page(page), into.begin());
                if (!source.packed[i].empty())
                    unpack_page(source.packed[i], into);
            } else {
                return bad_image(fmt::format("holds no page {}, which it has a hash of", page));
            }
        }
    return std::optional(std::move(newest));
}

}  // namespace altiplano::memory
