#include "memory/image.hpp"

#include "memory/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::memory {

namespace {

constexpr std::string_view magic = "ALTIMAGE";
constexpr std::uint64_t format = 1;
constexpr std::size_t fixed_bytes = 8 + 8 + 8 + 32 + 8 + 8 + 8;
constexpr std::size_t range_bytes = 8 + 8 + 32 + 8;
constexpr std::uint64_t front_pages_max = 4096;
constexpr std::size_t step_bytes = 1 << 20;

bool all_zero(Bytes bytes)
{
    return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

Buffer front(const Digest& root, std::uint64_t length, Bytes globals, const std::vector<MappedRange>& mapped)
{
    const auto used = fixed_bytes + globals.size() + mapped.size() * range_bytes + 32;
    const auto pages = (used + page_bytes - 1) / page_bytes;
    auto bytes = to_buffer(magic);
    append_u64(bytes, format);
    append_u64(bytes, pages);
    append(bytes, root.bytes());
    append_u64(bytes, length);
    append_u64(bytes, globals.size());
    append_u64(bytes, mapped.size());
    append(bytes, globals);
    for (const auto& range : mapped) {
        append_u64(bytes, range.at);
        append_u64(bytes, range.length);
        append(bytes, range.item.bytes());
        append_u64(bytes, range.item_offset);
    }
    append(bytes, keyed_hash(HashKind::root, bytes).bytes());
    bytes.resize(pages * page_bytes);
    return bytes;
}

std::unexpected<Error> bad(std::string sentence)
{
    return fail(
        errors::bad_image, "the memory image " + std::move(sentence), "images are caches: delete it, the log rebuilds it");
}

/// The front, its checksum verified, and where the memory begins.
Result<std::pair<Image, std::uint64_t>> read_front(const File& file)
{
    Buffer fixed(fixed_bytes);
    TRY(const auto got, file.read_at(0, fixed));
    if (got < fixed.size() || as_text(fixed).substr(0, 8) != magic)
        return bad("does not begin as one");
    if (read_u64(Bytes(fixed).subspan(8)) != format)
        return bad(fmt::format("has format {}; this program reads {}", read_u64(Bytes(fixed).subspan(8)), format));
    const auto pages = read_u64(Bytes(fixed).subspan(16));
    if (pages == 0 || pages > front_pages_max)
        return bad(fmt::format("says that its front has {} pages", pages));
    Buffer bytes(pages * page_bytes);
    TRY(const auto whole, file.read_at(0, bytes));
    if (whole < bytes.size())
        return bad("ends inside its front");

    Image image;
    const Bytes view(bytes);
    TRY(image.root, Digest::from_bytes(view.subspan(24, 32)));
    image.length_bytes = read_u64(view.subspan(56));
    const auto globals_size = read_u64(view.subspan(64));
    const auto range_count = read_u64(view.subspan(72));
    if (globals_size > bytes.size() || range_count > bytes.size() / range_bytes
        || fixed_bytes + globals_size + range_count * range_bytes + 32 > bytes.size())
        return bad("has a front that is too short for what it says");
    const auto checked = fixed_bytes + globals_size + range_count * range_bytes;
    if (!equal(keyed_hash(HashKind::root, view.first(checked)).bytes(), view.subspan(checked, 32)))
        return bad("has a front that was changed");
    image.globals = to_buffer(view.subspan(fixed_bytes, globals_size));
    for (std::size_t i = 0; i < range_count; ++i) {
        const auto row = view.subspan(fixed_bytes + globals_size + i * range_bytes, range_bytes);
        TRY(const auto item, ItemId::from_bytes(row.subspan(16, 32)));
        image.mapped.push_back({read_u64(row), read_u64(row.subspan(8)), item, read_u64(row.subspan(48))});
    }
    return std::pair(std::move(image), pages * page_bytes);
}

}  // namespace

Result<void> save_image(Files& files, const Path& path, const Region& region, Bytes globals, const Digest& root)
{
    auto temporary = path;
    temporary += ".tmp";
    TRY_OK(files.remove(temporary));
    const auto write = [&]() -> Result<void> {
        TRY(const auto file, files.open(temporary, Files::Mode::create_new));
        const auto memory = region.bytes();
        const auto head = front(root, memory.size(), globals, region.mapped_ranges());
        TRY_OK(file->write_at(0, head));
        TRY_OK(file->truncate(head.size() + memory.size()));
        // Runs of pages that hold something; the rest stays a hole.
        std::uint64_t began = 0;
        const auto pages = memory.size() / page_bytes;
        for (std::uint64_t page = 0; page <= pages; ++page) {
            if (page < pages && !region.is_mapped(page) && !all_zero(memory.subspan(page * page_bytes, page_bytes)))
                continue;
            if (page > began)
                TRY_OK(file->write_at(
                    head.size() + began * page_bytes, memory.subspan(began * page_bytes, (page - began) * page_bytes)));
            began = page + 1;
        }
        return file->sync();
    };
    if (auto written = write(); !written) {
        (void)files.remove(temporary).has_value();
        return written;
    }
    TRY_OK(files.rename(temporary, path));
    return files.sync_directory(path.parent_path());
}

Result<Image> read_image(const File& file)
{
    TRY(auto read, read_front(file));
    return std::move(read.first);
}

Result<Image> load_image(const File& file, Region& region, PageTree& tree, const MapItem& map_item)
{
    TRY(auto read, read_front(file));
    auto& [image, memory_at] = read;
    if (image.length_bytes % page_bytes != 0 || image.length_bytes > region.reserved_bytes())
        return bad(fmt::format("holds {} bytes of memory", image.length_bytes));
    TRY_OK(region.grow(image.length_bytes));

    Buffer step(step_bytes);
    for (std::uint64_t at = 0; at < image.length_bytes; at += step.size()) {
        const auto wanted = std::min<std::uint64_t>(step.size(), image.length_bytes - at);
        TRY(const auto got, file.read_at(memory_at + at, std::span(step).first(wanted)));
        if (got < wanted)
            return bad("ends inside its memory");
        for (std::uint64_t offset = 0; offset < wanted; offset += page_bytes) {
            const auto page = Bytes(step).subspan(offset, page_bytes);
            if (all_zero(page))
                continue;
            TRY_OK(region.prepare_write(at + offset, page_bytes));
            std::ranges::copy(page, region.bytes().begin() + static_cast<std::ptrdiff_t>(at + offset));
        }
    }
    for (const auto& range : image.mapped)
        TRY_OK(map_item(region, range));
    TRY(const auto root, tree.commit(region, image.globals));
    if (root != image.root)
        return bad(fmt::format("says that its state root is {}, its bytes give {}", image.root.text(), root.text()));
    return std::move(image);
}

}  // namespace altiplano::memory
