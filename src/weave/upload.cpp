#include "weave/upload.hpp"

#include "item/deep_hash.hpp"
#include "item/errors.hpp"

namespace altiplano::weave {

namespace {
// More than any header within the limits: signatures and keys of at most 2 KiB, target, anchor, tags.
constexpr std::size_t header_bytes_max = std::size_t{16} * 1024;
}  // namespace

Result<void> Upload::append(Bytes piece)
{
    if (header_)
        return append_data(piece);

    altiplano::append(front_, piece);
    auto parsed = item::Header::parse(front_);
    if (!parsed) {
        if (parsed.error().code == item::errors::truncated && front_.size() < header_bytes_max)
            return {};
        return std::unexpected(parsed.error());
    }
    header_ = *std::move(parsed);
    const Buffer rest(front_.begin() + static_cast<std::ptrdiff_t>(header_->size()), front_.end());
    front_.clear();
    return append_data(rest);
}

Result<void> Upload::append_data(Bytes piece)
{
    data_size_ += piece.size();
    data_hash_.update(piece);
    if (!large_ && data_size_ < store::Blobs::size_min) {
        altiplano::append(front_, piece);
        return {};
    }
    if (!large_) {
        TRY(large_, blobs_.write());
        TRY_OK(large_->append(front_));
        front_.clear();
    }
    return large_->append(piece);
}

Result<NewItem> Upload::finish()
{
    if (!header_) {
        // The parser says best which field was cut.
        TRY(header_, item::Header::parse(front_));
    }
    TRY_OK(header_->verify(item::deep_hash_blob(data_size_, data_hash_.finish())));
    NewItem done{.header = *std::move(header_), .data_size = data_size_};
    if (large_) {
        TRY(done.blob, large_->finish());
    } else {
        done.data = std::move(front_);
    }
    return done;
}

Result<NewItem> stage_own(const item::DataItem& item, store::Blobs& blobs)
{
    NewItem done{.header = item.header(), .data_size = item.data().size()};
    if (item.data().size() < store::Blobs::size_min) {
        done.data = to_buffer(item.data());
    } else {
        TRY(const auto writer, blobs.write());
        TRY_OK(writer->append(item.data()));
        TRY(done.blob, writer->finish());
    }
    return done;
}

Result<NewItem> stage(const item::DataItem& item, store::Blobs& blobs)
{
    TRY_OK(item.verify());
    return stage_own(item, blobs);
}

}  // namespace altiplano::weave
