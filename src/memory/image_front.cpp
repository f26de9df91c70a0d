#include "memory/image_front.hpp"

#include "memory/kernel.hpp"

namespace altiplano::memory {

namespace {

constexpr std::string_view magic = "ALTIMAGE";
constexpr std::uint64_t format = 2, format_packed = 3;
// Magic, format, front pages, three hashes, then length, globals, mapped ranges, runs, groups; what they count; the hash.
constexpr std::size_t fixed_bytes = 8 + 8 + 8 + 32 + 32 + 32 + 8 + 8 + 8 + 8 + 8;
constexpr std::size_t range_bytes = 8 + 8 + 32 + 8;
constexpr std::size_t run_bytes = 8 + 8;
constexpr std::uint64_t front_pages_max = 4096;

}  // namespace

std::unexpected<Error> bad_image(std::string sentence)
{
    return fail(
        errors::bad_image, "the memory image " + std::move(sentence), "images are caches: delete it, the log rebuilds it");
}

std::uint64_t Image::page_count() const
{
    std::uint64_t count = 0;
    for (const auto& run : runs)
        count += run.count;
    return count;
}

std::uint64_t Image::file_bytes() const
{
    auto bytes = tree_at();
    if (base)
        return bytes + groups * group_record_bytes;
    for (std::size_t level = 0; level < PageTree::levels; ++level)
        bytes += PageTree::level_bytes(level, length_bytes / page_bytes);
    return bytes;
}

Buffer write_front(Image& image)
{
    const auto used =
        fixed_bytes + image.globals.size() + image.mapped.size() * range_bytes + image.runs.size() * run_bytes + Digest::size;
    const auto pages = (used + page_bytes - 1) / page_bytes;
    image.front_bytes = pages * page_bytes;
    auto bytes = to_buffer(magic);
    append_u64(bytes, image.packed ? format_packed : format);
    append_u64(bytes, pages);
    append(bytes, image.root.bytes());
    append(bytes, image.pages_root.bytes());
    append(bytes, image.base.value_or(Digest{}).bytes());
    append_u64(bytes, image.length_bytes);
    append_u64(bytes, image.globals.size());
    append_u64(bytes, image.mapped.size());
    append_u64(bytes, image.runs.size());
    append_u64(bytes, image.groups);
    append(bytes, image.globals);
    for (const auto& range : image.mapped) {
        append_u64(bytes, range.at);
        append_u64(bytes, range.length);
        append(bytes, range.item.bytes());
        append_u64(bytes, range.item_offset);
    }
    for (const auto& run : image.runs) {
        append_u64(bytes, run.first);
        append_u64(bytes, run.count);
    }
    append(bytes, keyed_hash(HashKind::root, bytes).bytes());
    bytes.resize(image.front_bytes);
    return bytes;
}

Result<Image> read_front(const File& file)
{
    Buffer bytes(page_bytes);
    TRY(const auto got, file.read_at(0, bytes));
    if (got < fixed_bytes || as_text(bytes).substr(0, 8) != magic)
        return bad_image("does not begin as one");
    const auto written_as = read_u64(Bytes(bytes).subspan(8));
    if (written_as != format && written_as != format_packed)
        return bad_image(fmt::format("has format {}; this program reads {} and {}", written_as, format, format_packed));
    const auto pages = read_u64(Bytes(bytes).subspan(16));
    if (pages == 0 || pages > front_pages_max)
        return bad_image(fmt::format("says that its front has {} pages", pages));
    bytes.resize(pages * page_bytes);
    TRY(const auto more, file.read_at(page_bytes, std::span(bytes).subspan(page_bytes)));
    if (got + more < bytes.size())
        return bad_image("ends inside its front");

    Image image;
    image.packed = written_as == format_packed;
    const Bytes view(bytes);
    image.front_bytes = bytes.size();
    TRY(image.root, Digest::from_bytes(view.subspan(24, 32)));
    TRY(image.pages_root, Digest::from_bytes(view.subspan(56, 32)));
    TRY(const auto base, Digest::from_bytes(view.subspan(88, 32)));
    if (!base.is_zero())
        image.base = base;
    if (image.packed && !image.base)
        return bad_image("is packed, and lies on none");
    image.length_bytes = read_u64(view.subspan(120));
    const auto globals_size = read_u64(view.subspan(128));
    const auto range_count = read_u64(view.subspan(136));
    const auto run_count = read_u64(view.subspan(144));
    image.groups = read_u64(view.subspan(152));
    const auto most = bytes.size();
    if (globals_size > most || range_count > most / range_bytes || run_count > most / run_bytes
        || fixed_bytes + globals_size + range_count * range_bytes + run_count * run_bytes + Digest::size > most)
        return bad_image("has a front that is too short for what it says");
    const auto checked = fixed_bytes + globals_size + range_count * range_bytes + run_count * run_bytes;
    if (!equal(keyed_hash(HashKind::root, view.first(checked)).bytes(), view.subspan(checked, Digest::size)))
        return bad_image("has a front that was changed");
    image.globals = to_buffer(view.subspan(fixed_bytes, globals_size));
    auto rest = view.subspan(fixed_bytes + globals_size);
    for (std::size_t i = 0; i < range_count; ++i, rest = rest.subspan(range_bytes)) {
        TRY(const auto item, ItemId::from_bytes(rest.subspan(16, 32)));
        image.mapped.push_back({read_u64(rest), read_u64(rest.subspan(8)), item, read_u64(rest.subspan(48))});
    }
    // What follows holds for every front that this program wrote; the checksum is no signature.
    const auto memory_pages = image.length_bytes / page_bytes;
    if (image.length_bytes % page_bytes != 0 || image.length_bytes > Region::memory_bytes_max)
        return bad_image(fmt::format("holds {} bytes of memory", image.length_bytes));
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < run_count; ++i, rest = rest.subspan(run_bytes)) {
        const PageRange run{read_u64(rest), read_u64(rest.subspan(8))};
        if (run.count == 0 || run.first < end || run.count > memory_pages || run.first > memory_pages - run.count)
            return bad_image(fmt::format("holds {} pages from {}, of {}", run.count, run.first, memory_pages));
        image.runs.push_back(run);
        end = end_of(run);
    }
    if (image.groups > memory_pages * 2 + PageTree::levels)
        return bad_image(fmt::format("holds {} groups of hashes", image.groups));
    if (state_root(image.pages_root, image.length_bytes, image.globals, image.mapped) != image.root)
        return bad_image("says that its state root is another one than follows from its front");
    TRY(const auto size, file.size());
    if (size < image.file_bytes())
        return bad_image(fmt::format("ends after {} bytes of {}", size, image.file_bytes()));
    return image;
}

}  // namespace altiplano::memory
