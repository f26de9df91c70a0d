#pragma once

#include "drive/admission.hpp"
#include "vm/extension.hpp"

namespace altiplano::drive {

/// What opens at a guest's path for a reader: `data/<id>` is an admitted item's data; `tx/<id>`, `tx2/<id>` and `block/<height>`
/// are documents (documents.hpp). Follows from the weave up to the reader's height: absence is an answer only where every block
/// up to there is held.
/// @return vm.file_not_found, vm.file_not_admitted; drive.weave_behind and any other error is a HostFault
Result<std::unique_ptr<weave::ItemData>> open_path(weave::Weave& weave, const Reader& reader, std::string_view path);

/// The item whose data a path names: `data/<id>`.
std::optional<ItemId> item_of(std::string_view path);
/// The path of an item's data.
std::string path_of(const ItemId& item);

/// What opened at a path, as a file in a guest.
std::unique_ptr<vm::GuestFile> file_of(std::string_view path, std::unique_ptr<weave::ItemData> data);

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
