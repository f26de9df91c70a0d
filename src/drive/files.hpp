#pragma once

#include "drive/admission.hpp"
#include "vm/extension.hpp"

namespace altiplano::drive {

/// An item's data as a file in a guest.
class ItemFile final : public vm::GuestFile {
public:
    ItemFile(ItemId item, std::unique_ptr<weave::ItemData> data)
        : item_(item)
        , data_(std::move(data))
    {
    }
    std::uint64_t size() const override { return data_->size(); }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override { return data_->read_at(offset, into); }
    std::optional<Backing> backing() const override;
    ItemId item() const override { return item_; }

private:
    ItemId item_;
    std::unique_ptr<weave::ItemData> data_;
};

/// The item that a guest's path names: `data/<id>`. @return vm.file_not_found for any other path
Result<ItemId> item_of(std::string_view path);

/// The data of an item for a reader. This weave holds every block up to the height, so that absence is an answer.
/// @return vm.file_not_found, vm.file_not_admitted; any other error is a HostFault
Result<std::unique_ptr<weave::ItemData>> open_admitted(weave::Weave& weave, const Reader& reader, const ItemId& item);

/// A weave as the files of a guest, in this very process.
class WeaveFiles final : public vm::GuestFiles {
public:
    WeaveFiles(weave::Weave& weave, const Reader& reader)
        : weave_(weave)
        , reader_(reader)
    {
    }
    Result<std::unique_ptr<vm::GuestFile>> open(std::string_view path) override;
    Result<std::unique_ptr<vm::GuestFile>> mapped_item(ItemId item) override;

private:
    weave::Weave& weave_;
    Reader reader_;
};

}  // namespace altiplano::drive
