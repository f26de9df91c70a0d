// What a guest opens and maps: descriptors, and items shown in its memory.
#include "vm/guest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sys/stat.h>

namespace altiplano::vm {
namespace {

constexpr std::size_t open_files_max = 1024;
constexpr std::uint64_t page_bytes = memory::Region::page_bytes;

class NoFiles final : public GuestFiles {
public:
    Result<std::unique_ptr<GuestFile>> open(std::string_view path) override
    {
        return fail(errors::file_not_found, fmt::format("no file {}", path));
    }
    Result<std::unique_ptr<GuestFile>> mapped_item(ItemId item) override
    {
        return fail(errors::file_not_found, fmt::format("no item {}", item.text()));
    }
};

}  // namespace

GuestFiles& no_files()
{
    static NoFiles files;
    return files;
}

Result<void> map_file(
    memory::Region& region, GuestFile& file, std::uint64_t offset, std::uint64_t pages_bytes, std::uint64_t address)
{
    // What the pages show: the item's bytes, then zeros.
    const auto size = file.size();
    const auto shown = std::min(pages_bytes, size - offset);
    if (const auto backing = file.backing()) {
        // A host file that goes on behind the item would show through in the last page.
        struct stat status{};
        const bool ends_inside = shown < pages_bytes;
        if (backing->file_offset % page_bytes == 0 && fstat(backing->descriptor, &status) == 0
            && (!ends_inside || static_cast<std::uint64_t>(status.st_size) == backing->file_offset + size))
            return region.map(address, shown, backing->descriptor, backing->file_offset + offset, file.item(), offset);
    }
    Buffer bytes(shown);
    TRY_OK(file.read_at(offset, bytes));
    return region.map_bytes(address, bytes, file.item(), offset);
}

GuestFiles& Guest::files()
{
    return files_ != nullptr ? *files_ : no_files();
}

Guest::OpenFile* Guest::open_file(std::uint32_t fd)
{
    const auto found = open_.find(fd);
    return found == open_.end() ? nullptr : &found->second;
}

GuestFile* Guest::file(std::uint32_t fd)
{
    auto* open = open_file(fd);
    return open == nullptr ? nullptr : open->file.get();
}

std::optional<std::uint32_t> Guest::add_file(std::unique_ptr<GuestFile> file)
{
    if (open_.size() >= open_files_max)
        return std::nullopt;
    // The lowest number that is free, as POSIX has it.
    // 0 to 2 are the streams, 3 is WASI's preopened folder.
    std::uint32_t fd = module_->format().abi == Format::Abi::wasi ? 4 : 3;
    for (const auto& [used, _] : open_) {
        if (used != fd)
            break;
        ++fd;
    }
    open_.emplace(fd, OpenFile{std::move(file), 0});
    return fd;
}

Answer<Errno> Guest::map(std::uint32_t fd, std::uint64_t offset, std::uint64_t length, std::uint64_t address)
{
    auto* open = open_file(fd);
    if (open == nullptr)
        return Errno::badf;
    if (!open->file->is_item())
        return Errno::notsup;
    const auto size = open->file->size();
    if (offset % page_bytes != 0 || address % page_bytes != 0 || length == 0 || offset > size || length > size - offset)
        return Errno::inval;
    const auto pages_bytes = (length + page_bytes - 1) / page_bytes * page_bytes;
    // A range over another one would have to be told apart in the state: the guest unmaps first.
    if (!in_bounds(address, pages_bytes) || !region_.is_writable(address, pages_bytes))
        return Errno::inval;
    if (auto mapped = map_file(region_, *open->file, offset, pages_bytes, address); !mapped)
        return stop(std::move(mapped).error());
    note_mapped();
    return Errno::success;
}

std::vector<CallContext::Mapped> Guest::mapped() const
{
    std::vector<Mapped> found;
    for (const auto& range : region_.mapped_ranges())
        found.push_back({range.at, range.length, range.item, range.item_offset});
    return found;
}

std::optional<CallContext::Written> Guest::take_written(std::uint64_t address, std::uint64_t length)
{
    if (length == 0 || !in_bounds(address, length))
        return std::nullopt;
    const auto first = address / page_bytes;
    const auto taken = region_.take_written({first, (address + length - 1) / page_bytes + 1 - first});
    if (!taken)
        return std::nullopt;
    Written written{.epoch = taken->epoch};
    for (const auto& run : taken->pages)
        written.ranges.push_back({run.first * page_bytes, (run.first + run.count) * page_bytes});
    return written;
}

Answer<Errno> Guest::unmap(std::uint64_t address, std::uint64_t length)
{
    if (address % page_bytes != 0 || length % page_bytes != 0 || length == 0 || !in_bounds(address, length))
        return Errno::inval;
    if (auto unmapped = region_.unmap(address, length); !unmapped)
        return stop(std::move(unmapped).error());
    note_mapped();
    return Errno::success;
}

bool Guest::close_file(std::uint32_t fd)
{
    return open_.erase(fd) > 0;
}

}  // namespace altiplano::vm
