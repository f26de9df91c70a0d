#pragma once

#include "item/data_item.hpp"
#include "store/blobs.hpp"

namespace altiplano::weave {

/// An item or transaction that may be put into the weave: its signature was checked, and its data lies in memory or is a durable
/// blob.
struct NewItem {
    item::Header header;
    Buffer data{};  ///< when there is no blob
    std::optional<Digest> blob{};
    std::uint64_t data_size = 0;
    std::optional<ItemId> bundle{};  ///< that it came in
};

/// Takes in an item piece by piece, as it comes over the wire: the header first, then data of any size, which goes to
/// a blob from Blobs::size_min on and is hashed on the way. Dropped unfinished, it leaves nothing.
class Upload {
public:
    explicit Upload(store::Blobs& blobs)
        : blobs_(blobs)
    {
    }

    /// @return item.* as soon as the header shows it; base.disk_full, base.file_failed
    Result<void> append(Bytes piece);
    /// The whole item, its signature verified. Once. @return item.truncated, item.bad_signature, base.*
    Result<NewItem> finish();

private:
    Result<void> append_data(Bytes piece);

    store::Blobs& blobs_;
    Buffer front_;  ///< until the header is whole, then its data while that is small
    std::optional<item::Header> header_;
    std::unique_ptr<store::Blobs::Writer> large_;
    Sha384Hasher data_hash_;
    std::uint64_t data_size_ = 0;
};

/// An item that is in memory whole. @return item.bad_signature, base.*
Result<NewItem> stage(const item::DataItem& item, store::Blobs& blobs);
/// The same for an item that was just signed here, whose signature needs no check.
Result<NewItem> stage_own(const item::DataItem& item, store::Blobs& blobs);

}  // namespace altiplano::weave
