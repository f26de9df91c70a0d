#include "memory/image.hpp"

#include "memory/common_image.hpp"
#include "memory/image_front.hpp"
#include "memory/image_layers.hpp"
#include "memory/kernel.hpp"
#include "memory/packed_pages.hpp"

#include <algorithm>
#include <array>

namespace altiplano::memory {

namespace {

constexpr std::size_t step_pages = 256;  ///< copied at once
constexpr std::size_t runs_max = 128;  ///< of a whole image: each is a mapping when it is restored
constexpr std::uint64_t packed_share = 3;  ///< of a state's bytes: what a packed overlay may hold

/// Gives pages of a state: where they lie, or copied into a buffer.
using ReadPages = std::function<Result<Bytes>(PageRange pages, Buffer& copied)>;

std::uint64_t group_end(std::uint64_t group)
{
    return (group + 1) * PageTree::arity;
}

/// The pages that a whole image holds: those with a hash, by sixteens, neighbours joined over gaps until there are few
/// enough; those of mapped items left out.
std::vector<PageRange> runs_of_state(const PageTree& tree, const std::vector<MappedRange>& mapped, std::uint64_t pages)
{
    std::vector<PageRange> runs;
    tree.each_group([&](std::uint64_t group) {
        auto page = group * PageTree::arity;
        const auto stop = std::min(group_end(group), pages);
        if (page >= stop)
            return;
        if (!runs.empty() && end_of(runs.back()) == page)
            runs.back().count += stop - page;
        else
            runs.push_back({page, stop - page});
    });
    for (std::uint64_t gap = 4; runs.size() > runs_max; gap *= 2) {
        std::vector<PageRange> joined;
        for (const auto& run : runs)
            if (!joined.empty() && run.first - end_of(joined.back()) <= gap)
                joined.back().count = end_of(run) - joined.back().first;
            else
                joined.push_back(run);
        runs = std::move(joined);
    }
    std::vector<PageRange> without;
    for (auto run : runs) {
        for (const auto& range : mapped) {
            const auto first = range.at / page_bytes;
            const auto stop = (range.at + range.length) / page_bytes;
            if (stop <= run.first || first >= end_of(run))
                continue;
            if (first > run.first)
                without.push_back({run.first, first - run.first});
            const auto end = end_of(run);
            run = {std::min(stop, end), end - std::min(stop, end)};
        }
        if (run.count != 0)
            without.push_back(run);
    }
    return without;
}

/// Writes the pages of the image's runs; those without a hash stay holes.
Result<std::uint64_t> write_pages(File& file, const Image& image, const PageTree& tree, const ReadPages& read)
{
    Buffer copied;
    std::uint64_t written = 0;
    auto at = image.front_bytes;
    for (const auto& run : image.runs)
        for (auto page = run.first; page < end_of(run);) {
            const bool there = tree.has_page(page);
            PageRange some{page, 1};
            while (end_of(some) < end_of(run) && some.count < step_pages && tree.has_page(end_of(some)) == there)
                ++some.count;
            if (there) {
                TRY(const auto bytes, read(some, copied));
                TRY_OK(file.write_at(at, bytes));
                written += some.count;
            }
            page = end_of(some);
            at += some.count * page_bytes;
        }
    return written;
}

/// Writes the levels of the tree; groups of zeros stay holes.
Result<void> write_tree(File& file, const Image& image, const PageTree& tree)
{
    std::array<std::uint64_t, PageTree::levels> level_at{};
    auto at = image.tree_at();
    for (std::size_t level = 0; level < PageTree::levels; ++level) {
        level_at[level] = at;
        at += PageTree::level_bytes(level, image.length_bytes / page_bytes);
    }
    // A small one in one call.
    const auto levels_bytes = at - image.tree_at();
    Buffer together(levels_bytes <= small_tree_bytes ? levels_bytes : 0);
    std::array<std::uint64_t, PageTree::levels> last;
    last.fill(UINT64_MAX);
    Result<void> done;
    // Whole pages of the arrays at once: eight groups each.
    const auto write = [&](std::size_t level, std::uint64_t group) {
        constexpr std::uint64_t groups = page_bytes / PageTree::group_bytes;
        const auto block = group / groups;
        if (!done || std::exchange(last[level], block) == block)
            return;
        const Bytes bytes{tree.group(level, block * groups).data(), static_cast<std::size_t>(page_bytes)};
        const auto offset = level_at[level] + block * page_bytes;
        if (together.empty())
            done = file.write_at(offset, bytes);
        else
            std::ranges::copy(bytes, together.begin() + static_cast<std::ptrdiff_t>(offset - image.tree_at()));
    };
    tree.each_group([&](std::uint64_t group) {
        for (std::size_t level = 0; level < PageTree::levels; ++level, group /= PageTree::arity)
            write(level, group);
    });
    return together.empty() ? done : file.write_at(image.tree_at(), together);
}

/// Makes a file under a temporary name, and gives it its name when it is whole and durable.
Result<void> make_file(Files& files, const Path& path, bool durable, const std::function<Result<void>(File&)>& fill)
{
    auto temporary = path;
    temporary += ".tmp";
    TRY_OK(files.remove(temporary));
    auto made = [&]() -> Result<void> {
        TRY(const auto file, files.open(temporary, Files::Mode::create_new));
        TRY_OK(fill(*file));
        if (durable)
            TRY_OK(file->sync());
        return {};
    }();
    if (!made) {
        (void)files.remove(temporary).has_value();
        return made;
    }
    TRY_OK(files.rename(temporary, path));
    if (!durable)
        return {};
    return files.sync_directory(path.parent_path());
}

Result<std::uint64_t> write_whole(File& file, Image& image, PageTree& tree, const ReadPages& read)
{
    // A hash that was lost would leave its page out.
    if (!tree.check_all())
        return bad_image("that this state came from has other hashes than were saved");
    image.runs = runs_of_state(tree, image.mapped, image.length_bytes / page_bytes);
    TRY_OK(file.truncate(0));  // holes are zeros
    TRY_OK(file.write_at(0, write_front(image)));
    TRY_OK(file.truncate(image.file_bytes()));
    TRY(const auto written, write_pages(file, image, tree, read));
    TRY_OK(write_tree(file, image, tree));
    return written;
}

/// The groups of hashes over pages that changed, as an overlay has them; counts them in the image.
Buffer groups_over(const std::vector<std::uint64_t>& changed, const PageTree& tree, Image& image)
{
    Buffer records;
    auto at_level = changed;
    for (std::size_t level = 0; level < PageTree::levels; ++level) {
        for (auto& number : at_level)
            number /= PageTree::arity;
        const auto doubles = std::ranges::unique(at_level);
        at_level.erase(doubles.begin(), doubles.end());
        image.groups += at_level.size();
        for (const auto number : at_level) {
            append_u64(records, level);
            append_u64(records, number);
            append(records, tree.group(level, number));
        }
    }
    return records;
}

Result<std::uint64_t> write_overlay(
    File& file, Image& image, const PageTree& tree, const std::vector<std::uint64_t>& changed, const ReadPages& read)
{
    const auto groups = groups_over(changed, tree, image);
    TRY_OK(file.truncate(0));
    TRY_OK(file.write_at(0, write_front(image)));
    TRY_OK(file.truncate(image.file_bytes()));
    TRY(const auto written, write_pages(file, image, tree, read));
    TRY_OK(file.write_at(image.tree_at(), groups));
    return written;
}

/// The pages of a small state that have other hashes than those of another one, ascending.
std::vector<std::uint64_t> pages_unlike(const CommonImage& common, const PageTree& tree, std::uint64_t pages)
{
    std::vector<std::uint64_t> unlike;
    for (std::uint64_t group = 0; group * PageTree::arity < pages; ++group) {
        const auto ours = tree.group(0, group);
        const auto theirs = common.group(group);
        if (equal(ours, theirs))
            continue;
        for (std::uint64_t i = 0; i < PageTree::arity; ++i)
            if (!equal(ours.subspan(i * Digest::size, Digest::size), theirs.subspan(i * Digest::size, Digest::size)))
                unlike.push_back(group * PageTree::arity + i);
    }
    return unlike;
}

/// What differs from that image, as an overlay that is packed. @return nothing where it is much
Result<std::optional<Buffer>> packed_over(
    const CommonImage& common, Image image, Region& region, PageTree& tree, std::uint64_t& pages)
{
    const auto much = [] { return std::optional<Buffer>{}; };
    const auto memory_pages = image.length_bytes / page_bytes;
    if (!may_be_overwritten(region, tree) || memory_pages < common.pages())
        return much();
    // A hash that was lost would leave its page out.
    if (!tree.check_all())
        return bad_image("that this state came from has other hashes than were saved");
    const auto unlike = pages_unlike(common, tree, memory_pages);
    const auto packed_max = state_pages(tree) * page_bytes / packed_share;
    Buffer packed;
    for (const auto page : unlike) {
        TRY_OK(region.examine({page, 1}));
        pack_page(Bytes(region.bytes()).subspan(page * page_bytes, page_bytes), common.page(page), packed);
        if (packed.size() > packed_max)
            return much();
    }
    if (region.damaged())
        return bad_image("that this state came from has other bytes than were saved");
    pages = unlike.size();
    image.base = common.root();
    image.packed = true;
    image.runs = runs_of(unlike);
    const auto groups = groups_over(unlike, tree, image);
    auto bytes = write_front(image);
    append(bytes, groups);
    append(bytes, packed);
    return std::optional(std::move(bytes));
}

Result<void> load_pages(const File& file, const Image& image, Region& region)
{
    std::vector<Region::Shown> shown;
    Buffer page_buffer(page_bytes);
    auto at = image.front_bytes;
    const bool can_map = file.descriptor() >= 0;
    for (const auto& run : image.runs) {
        if (can_map && (!image.base || run.count >= mapped_run_pages)) {
            shown.push_back({run, at});
            at += run.count * page_bytes;
            continue;
        }
        for (auto page = run.first; page < end_of(run); ++page, at += page_bytes) {
            TRY_OK(read_exactly(file, at, page_buffer));
            TRY_OK(region.put(page, page_buffer));
        }
    }
    if (shown.empty())
        return {};
    return region.show(shown, file.descriptor());
}

Result<void> load_packed(const CommonImage& common, const File& file, const Image& image, Region& region)
{
    TRY(const auto packed, read_packed(file, image));
    Buffer copy(page_bytes);
    return each_packed(image, packed, [&](std::uint64_t page, Bytes one) {
        std::ranges::copy(common.page(page), copy.begin());
        unpack_page(one, copy);
        return region.put(page, copy);
    });
}

/// Whether an overlay is worth it, and whether the state is small.
SavedImage kind_of(const SaveRule& rule, const PageTree& tree, std::span<const PageRange> runs, std::uint64_t changed,
    const std::optional<Digest>& base)
{
    std::uint64_t scattered = 0;
    for (const auto& run : runs)
        if (run.count < mapped_run_pages)
            scattered += run.count;
    const auto all_pages = state_pages(tree);
    const bool small = all_pages <= rule.small_state_pages;
    const bool is_room = !small || rule.overlays < rule.small_state_overlays;
    const bool is_overlay = is_room && changed < all_pages / (small ? 3 : 4) && scattered <= rule.scattered_pages_max;
    return {.base = is_overlay ? base : std::nullopt, .small = small};
}

}  // namespace

Result<SavedImage> save_image(Files& files, const Path& path, Region& region, PageTree& tree, Bytes globals, const Digest& root,
    const std::optional<Digest>& base, const SaveRule& rule, const CommonImage* common)
{
    Image image{.root = root,
        .pages_root = tree.root(),
        .length_bytes = region.bytes().size(),
        .globals = to_buffer(globals),
        .mapped = region.mapped_ranges(),
        .runs = {}};
    SavedImage saved;
    if (common != nullptr) {
        TRY(const auto packed, packed_over(*common, image, region, tree, saved.pages));
        if (packed) {
            TRY_OK(make_file(files, path, rule.durable, [&](File& file) -> Result<void> {
                TRY_OK(file.write_at(0, *packed));
                TRY(const auto size, file.size());
                return size == packed->size() ? Result<void>{} : file.truncate(packed->size());
            }));
            region.saved();
            saved.base = common->root();
            saved.small = saved.packed = true;
            return saved;
        }
    }
    auto changed = region.unsaved_pages();
    std::ranges::sort(changed);
    if (base) {
        std::vector<std::uint64_t> written;
        std::ranges::copy_if(changed, std::back_inserter(written), [&](std::uint64_t page) { return !region.is_mapped(page); });
        image.runs = runs_of(written);
        saved = kind_of(rule, tree, image.runs, changed.size(), base);
    }
    // Pages that nobody has seen yet are checked first; the kernel would only refuse them.
    const auto read = [&](PageRange pages, Buffer&) -> Result<Bytes> {
        TRY_OK(region.examine(pages));
        return Bytes(region.bytes()).subspan(pages.first * page_bytes, pages.count * page_bytes);
    };
    TRY_OK(make_file(files, path, rule.durable, [&](File& file) -> Result<void> {
        image.base = saved.base;
        TRY(saved.pages, saved.base ? write_overlay(file, image, tree, changed, read) : write_whole(file, image, tree, read));
        if (region.damaged())
            return bad_image("that this state came from has other bytes than were saved");
        return {};
    }));
    region.saved();
    return saved;
}

Result<Image> read_image(const File& file)
{
    return read_front(file);
}

Result<Image> load_image(std::span<const File* const> layers, Region& region, PageTree& tree, const MapItem& map_item)
{
    TRY(auto images, read_chain(layers));
    auto& newest = images.back();
    if (newest.length_bytes > region.reserved_bytes())
        return bad_image(fmt::format("holds {} bytes of memory", newest.length_bytes));
    TRY(tree, PageTree::reserve(region.reserved_bytes()));
    TRY_OK(load_tree(layers, images, tree));

    TRY_OK(region.grow(newest.length_bytes));
    for (std::size_t i = 0; i < layers.size(); ++i) {
        if (!images[i].packed) {
            TRY_OK(load_pages(*layers[i], images[i], region));
            continue;
        }
        TRY(const auto common, CommonImage::read(*layers.front()));
        TRY_OK(load_packed(*common, *layers[i], images[i], region));
    }
    for (const auto& range : newest.mapped)
        TRY_OK(map_item(region, range));
    if (region.mapped_ranges() != newest.mapped)
        return bad_image("maps items in ranges that overlap or touch");
    TRY_OK(region.settle(tree));
    return std::move(newest);
}

Result<void> check_whole_image(const File& file)
{
    const std::array<const File*, 1> layers{&file};
    TRY(const auto images, read_chain(layers));
    const auto& image = images.front();
    TRY(auto tree, PageTree::reserve(image.length_bytes));
    TRY_OK(load_tree(layers, images, tree));
    if (!tree.check_all())
        return bad_image("has other hashes than were saved");
    Buffer page_buffer(page_bytes);
    auto at = image.front_bytes;
    for (const auto& run : image.runs)
        for (auto page = run.first; page < end_of(run); ++page, at += page_bytes) {
            TRY_OK(read_exactly(file, at, page_buffer));
            if (!tree.check_pages(page, page_buffer))
                return bad_image(fmt::format("has other bytes in page {} than were saved", page));
        }
    return {};
}

Result<void> merge_images(Files& files, const Path& path, std::span<const File* const> layers)
{
    TRY(const auto images, read_chain(layers));
    TRY(auto tree, PageTree::reserve(images.back().length_bytes));
    TRY_OK(load_tree(layers, images, tree));
    // The newest layer that holds a page; pages between the runs are zero.
    const auto read_page = [&](std::uint64_t page, std::span<std::byte> into) -> Result<void> {
        for (std::size_t i = layers.size(); i-- > 0;) {
            auto at = images[i].front_bytes;
            for (const auto& run : images[i].runs) {
                if (page >= run.first && page < end_of(run)) {
                    TRY_OK(read_exactly(*layers[i], at + (page - run.first) * page_bytes, into));
                    if (!tree.check_pages(page, into))
                        return bad_image(fmt::format("has other bytes in page {} than were saved", page));
                    return {};
                }
                at += run.count * page_bytes;
            }
        }
        return bad_image(fmt::format("holds no page {}, which it has a hash of", page));
    };
    const auto read = [&](PageRange pages, Buffer& copied) -> Result<Bytes> {
        copied.resize(pages.count * page_bytes);
        for (std::uint64_t i = 0; i < pages.count; ++i)
            TRY_OK(read_page(pages.first + i, std::span(copied).subspan(i * page_bytes, page_bytes)));
        return Bytes(copied);
    };
    auto merged = images.back();
    merged.base.reset();
    merged.groups = 0;
    return make_file(files, path, true, [&](File& file) -> Result<void> {
        TRY_OK(write_whole(file, merged, tree, read));
        return {};
    });
}

}  // namespace altiplano::memory
