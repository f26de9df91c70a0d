#include "drive/files.hpp"

#include "drive/documents.hpp"
#include "drive/errors.hpp"
#include "vm/errors.hpp"
#include "weave/errors.hpp"

#include <fmt/format.h>

namespace altiplano::drive {

namespace {

constexpr std::string_view data_folder = "data/";

class ItemFile final : public vm::GuestFile {
public:
    ItemFile(std::optional<ItemId> item, std::unique_ptr<weave::ItemData> data)
        : item_(item)
        , data_(std::move(data))
    {
    }
    std::uint64_t size() const override { return data_->size(); }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override { return data_->read_at(offset, into); }
    std::optional<Backing> backing() const override
    {
        if (data_->descriptor() < 0)
            return std::nullopt;
        return Backing{.descriptor = data_->descriptor(), .file_offset = 0};
    }
    bool is_item() const override { return item_.has_value(); }
    ItemId item() const override { return item_.value_or(ItemId{}); }

private:
    std::optional<ItemId> item_;
    std::unique_ptr<weave::ItemData> data_;
};

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

}  // namespace

std::optional<ItemId> item_of(std::string_view path)
{
    if (path.starts_with(data_folder))
        if (const auto id = ItemId::parse(path.substr(data_folder.size())))
            return *id;
    return std::nullopt;
}

std::string path_of(const ItemId& item)
{
    return std::string(data_folder) + item.text();
}

Result<std::unique_ptr<weave::ItemData>> open_path(weave::Weave& weave, const Reader& reader, std::string_view path)
{
    const auto item = item_of(path);
    const auto document = document_of(path);
    if (!item && !document)
        return fail(vm::errors::file_not_found, fmt::format("there is no file /{}", path),
            "/data/<id>, /tx/<id>, /tx2/<id> and /block/<height> are all that there is");
    // A copy that follows another weave may be asked before it has come so far.
    TRY(const auto tip, weave.tip());
    if (tip.height < reader.height)
        return fail(errors::weave_behind,
            fmt::format("the message has the height {}, this weave has come to {}: whether /{} is there cannot be said yet",
                reader.height, tip.height, path),
            "the copy of the weave that this node keeps has to catch up");
    if (item)
        return open_admitted(weave, reader, *item);
    TRY(const auto text, read_document(weave, reader, *document));
    return std::make_unique<weave::ItemData>(to_buffer(text));
}

std::unique_ptr<vm::GuestFile> file_of(std::string_view path, std::unique_ptr<weave::ItemData> data)
{
    return std::make_unique<ItemFile>(item_of(path), std::move(data));
}

Result<std::unique_ptr<vm::GuestFile>> WeaveFiles::open(std::string_view path)
{
    TRY(auto data, open_path(weave_, reader_, path));
    return file_of(path, std::move(data));
}

Result<std::unique_ptr<vm::GuestFile>> WeaveFiles::mapped_item(ItemId item)
{
    TRY(auto data, weave_.data(item));
    return file_of(path_of(item), std::move(data));
}

}  // namespace altiplano::drive
