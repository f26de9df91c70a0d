#include "memory/image.hpp"

#include "memory/image_front.hpp"
#include "memory/kernel.hpp"

#include <algorithm>
#include <cstring>
#include <map>

namespace altiplano::memory {

namespace {

constexpr std::size_t step_pages = 256;  ///< copied at once
constexpr std::size_t runs_max = 128;  ///< of a whole image: each is a mapping when it is restored
constexpr std::uint64_t small_tree_bytes = 64 << 10;  ///< a level this small is read, not mapped

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
    TRY_OK(file.write_at(0, write_front(image)));
    TRY_OK(file.truncate(image.file_bytes()));
    TRY(const auto written, write_pages(file, image, tree, read));
    TRY_OK(write_tree(file, image, tree));
    return written;
}

Result<std::uint64_t> write_overlay(
    File& file, Image& image, const PageTree& tree, const std::vector<std::uint64_t>& changed, const ReadPages& read)
{
    std::vector<std::pair<std::size_t, std::uint64_t>> groups;
    auto at_level = changed;
    for (std::size_t level = 0; level < PageTree::levels; ++level) {
        for (auto& number : at_level)
            number /= PageTree::arity;
        const auto doubles = std::ranges::unique(at_level);
        at_level.erase(doubles.begin(), doubles.end());
        for (const auto number : at_level)
            groups.emplace_back(level, number);
    }
    image.groups = groups.size();
    TRY_OK(file.write_at(0, write_front(image)));
    TRY_OK(file.truncate(image.file_bytes()));
    TRY(const auto written, write_pages(file, image, tree, read));
    Buffer records;
    for (const auto& [level, number] : groups) {
        append_u64(records, level);
        append_u64(records, number);
        append(records, tree.group(level, number));
    }
    TRY_OK(file.write_at(image.tree_at(), records));
    return written;
}

/// The fronts of a chain, each overlay on the one before it.
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

/// The tree as of the newest layer, to be checked as it is used.
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
    for (std::size_t i = 1; i < layers.size(); ++i) {
        Buffer records(images[i].groups * (16 + PageTree::group_bytes));
        TRY_OK(read_exactly(*layers[i], images[i].tree_at(), records));
        for (Bytes rest(records); !rest.empty(); rest = rest.subspan(16 + PageTree::group_bytes))
            TRY_OK(tree.load_group(read_u64(rest), read_u64(rest.subspan(8)), rest.subspan(16, PageTree::group_bytes)));
    }
    tree.believe(images.back().pages_root);
    return {};
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

/// Whether an overlay is worth it, and whether the state is small.
SavedImage kind_of(const SaveRule& rule, const PageTree& tree, std::span<const PageRange> runs, std::uint64_t changed)
{
    std::uint64_t scattered = 0;
    for (const auto& run : runs)
        if (run.count < mapped_run_pages)
            scattered += run.count;
    std::uint64_t state_pages = 0;
    tree.each_group([&](std::uint64_t) { state_pages += PageTree::arity; });
    const bool small = state_pages <= rule.small_state_pages;
    const bool is_room = !small || rule.overlays < rule.small_state_overlays;
    return {
        .overlay = is_room && changed < state_pages / (small ? 3 : 4) && scattered <= rule.scattered_pages_max, .small = small};
}

}  // namespace

Result<SavedImage> save_image(Files& files, const Path& path, Region& region, PageTree& tree, Bytes globals, const Digest& root,
    const std::optional<Digest>& base, const SaveRule& rule)
{
    Image image{.root = root,
        .pages_root = tree.root(),
        .length_bytes = region.bytes().size(),
        .globals = to_buffer(globals),
        .mapped = region.mapped_ranges(),
        .runs = {}};
    SavedImage saved;
    auto changed = region.unsaved_pages();
    std::ranges::sort(changed);
    if (base) {
        std::vector<std::uint64_t> written;
        std::ranges::copy_if(changed, std::back_inserter(written), [&](std::uint64_t page) { return !region.is_mapped(page); });
        image.runs = runs_of(written);
        saved = kind_of(rule, tree, image.runs, changed.size());
    }
    // Pages that nobody has seen yet are checked first; the kernel would only refuse them.
    const auto read = [&](PageRange pages, Buffer&) -> Result<Bytes> {
        TRY_OK(region.examine(pages));
        return Bytes(region.bytes()).subspan(pages.first * page_bytes, pages.count * page_bytes);
    };
    TRY_OK(make_file(files, path, rule.durable, [&](File& file) -> Result<void> {
        if (saved.overlay)
            image.base = base;
        TRY(saved.pages, saved.overlay ? write_overlay(file, image, tree, changed, read) : write_whole(file, image, tree, read));
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
        if (!images[i].runs.empty() && end_of(images[i].runs.back()) * page_bytes > newest.length_bytes)
            return bad_image("is longer than the overlay on it");
        TRY_OK(load_pages(*layers[i], images[i], region));
    }
    for (const auto& range : newest.mapped)
        TRY_OK(map_item(region, range));
    if (region.mapped_ranges() != newest.mapped)
        return bad_image("maps items in ranges that overlap or touch");
    TRY_OK(region.settle(tree));
    return std::move(newest);
}

bool may_be_overwritten(const Region& region, const PageTree& tree)
{
    constexpr std::uint64_t looked_at_bytes = std::uint64_t{64} << 20;
    if (!region.mapped_ranges().empty() || region.bytes().size() > looked_at_bytes)
        return false;
    std::uint64_t groups = 0;
    tree.each_group([&](std::uint64_t) { ++groups; });
    return groups * PageTree::arity <= overwritten_state_pages;
}

Result<std::optional<Image>> overwrite_with_image(std::span<const File* const> layers, Region& region, PageTree& tree)
{
    constexpr auto not_here = std::optional<Image>{};
    TRY(auto images, read_chain(layers));
    auto& newest = images.back();
    if (!newest.mapped.empty() || newest.length_bytes < region.bytes().size() || newest.length_bytes > region.reserved_bytes()
        || !may_be_overwritten(region, tree))
        return not_here;
    // What this state came from may be damaged where nobody has looked yet: that is no matter of the other's.
    if (!region.examine({0, region.bytes().size() / page_bytes}) || !tree.check_all())
        return not_here;

    // The hashes of the state to come, and where its pages lie. As newer layers have them; nothing of it is believed.
    struct Source {
        std::array<Digest, PageTree::arity> hashes{};
        std::array<const File*, PageTree::arity> files{};
        std::array<std::uint64_t, PageTree::arity> offsets{};
    };
    std::map<std::uint64_t, Source> groups;
    const auto take_hashes = [&](std::uint64_t group, Bytes hashes) {
        std::memcpy(groups[group].hashes.data(), hashes.data(), PageTree::group_bytes);
    };
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const auto& image = images[i];
        if (image.page_count() > overwritten_state_pages || image.groups > overwritten_state_pages * 2
            || (!image.runs.empty() && end_of(image.runs.back()) * page_bytes > newest.length_bytes))
            return not_here;
        auto at = image.front_bytes;
        for (const auto& run : image.runs) {
            const auto first = run.first / PageTree::arity;
            const auto count = (end_of(run) - 1) / PageTree::arity + 1 - first;
            if (!image.base) {
                Buffer hashes(count * PageTree::group_bytes);
                TRY_OK(read_exactly(*layers[i], image.tree_at() + first * PageTree::group_bytes, hashes));
                for (std::uint64_t group = 0; group < count; ++group)
                    take_hashes(first + group, Bytes(hashes).subspan(group * PageTree::group_bytes, PageTree::group_bytes));
            }
            for (auto page = run.first; page < end_of(run); ++page, at += page_bytes) {
                auto& source = groups[page / PageTree::arity];
                source.files[page % PageTree::arity] = layers[i];
                source.offsets[page % PageTree::arity] = at;
            }
        }
        if (image.groups == 0)
            continue;
        Buffer records(image.groups * (16 + PageTree::group_bytes));
        TRY_OK(read_exactly(*layers[i], image.tree_at(), records));
        for (Bytes rest(records); !rest.empty(); rest = rest.subspan(16 + PageTree::group_bytes))
            if (read_u64(rest) == 0)
                take_hashes(read_u64(rest.subspan(8)), rest.subspan(16, PageTree::group_bytes));
    }
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
            if (hash.is_zero())
                std::ranges::fill(into, std::byte{});
            else if (source.files[i] == nullptr)
                return bad_image(fmt::format("holds no page {}, which it has a hash of", page));
            else
                TRY_OK(read_exactly(*source.files[i], source.offsets[i], into));
        }
    return std::optional(std::move(newest));
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
