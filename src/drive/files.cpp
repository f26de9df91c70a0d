#include "drive/files.hpp"

#include "drive/errors.hpp"
#include "vm/errors.hpp"
#include "weave/errors.hpp"

#include <fmt/format.h>

namespace altiplano::drive {

std::optional<vm::GuestFile::Backing> ItemFile::backing() const
{
    if (data_->descriptor() < 0)
        return std::nullopt;
    return Backing{.descriptor = data_->descriptor(), .file_offset = 0};
}

Result<ItemId> item_of(std::string_view path)
{
    constexpr std::string_view folder = "data/";
    if (path.starts_with(folder))
        if (const auto id = ItemId::parse(path.substr(folder.size())))
            return *id;
    return fail(vm::errors::file_not_found, fmt::format("there is no file /{}", path), "/data/<id> opens the item of that id");
}

Result<std::unique_ptr<weave::ItemData>> open_admitted(weave::Weave& weave, const Reader& reader, const ItemId& item)
{
    const auto stored = weave.item(item);
    const auto unknown = !stored && stored.error().code == weave::errors::unknown_item;
    if (!stored && !unknown)
        return std::unexpected(stored.error());
    // An item of a later block is not there yet, for a replay as it was for the first run.
    if (unknown || stored->height > reader.height)
        return fail(vm::errors::file_not_found, fmt::format("there is no item {} at height {}", item.text(), reader.height));
    const auto admitted = admits(weave, reader, item);
    if (!admitted && admitted.error().code != errors::unsupported_mode)
        return std::unexpected(admitted.error());
    if (!admitted || !*admitted)
        return fail(vm::errors::file_not_admitted,
            fmt::format("item {} is not admitted for this process at height {}", item.text(), reader.height),
            "the process needs Extension: WeaveDrive, and its Scheduler or an Attestor must have attested the item");
    return weave.data(item);
}

Result<std::unique_ptr<vm::GuestFile>> WeaveFiles::open(std::string_view path)
{
    TRY(const auto item, item_of(path));
    TRY(auto data, open_admitted(weave_, reader_, item));
    return std::make_unique<ItemFile>(item, std::move(data));
}

Result<std::unique_ptr<vm::GuestFile>> WeaveFiles::mapped_item(ItemId item)
{
    TRY(auto data, weave_.data(item));
    return std::make_unique<ItemFile>(item, std::move(data));
}

}  // namespace altiplano::drive
