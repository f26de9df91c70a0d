#include "weave/unbundle.hpp"

#include "item/bundle.hpp"
#include "item/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::weave {

namespace {

// Members are sealed so many at a time: a block for each would cost a sync each.
constexpr std::size_t batch_items_max = 512;
constexpr std::uint64_t batch_bytes_max = std::uint64_t{8} << 20;
constexpr std::size_t piece_bytes = std::size_t{256} * 1024;
constexpr std::uint64_t table_entries_at_once = 1024;
// More than any header of an item from outside.
constexpr std::uint64_t header_bytes_max = std::uint64_t{16} * 1024;

/// One bundle being taken apart.
class Taker {
public:
    Taker(Weave& weave, const ItemData& data)
        : weave_(weave)
        , data_(data)
    {
    }

    /// The bundle `parent`, whose data are the `size` bytes at `begin`.
    Result<void> take_bundle(const ItemId& parent, std::uint64_t begin, std::uint64_t size, int depth)
    {
        TRY(const auto front, read(begin, std::min<std::uint64_t>(size, item::bundle_count_bytes)));
        TRY(const auto count, item::bundle_count(front, size));
        auto at = item::bundle_count_bytes + count * item::bundle_entry_bytes;
        for (std::uint64_t first = 0; first < count; first += table_entries_at_once) {
            const auto entries = std::min(table_entries_at_once, count - first);
            TRY(const auto table,
                read(begin + item::bundle_count_bytes + first * item::bundle_entry_bytes, entries * item::bundle_entry_bytes));
            TRY(const auto members, item::bundle_members(table, at, size));
            for (const auto& member : members) {
                at = member.offset + member.size;
                TRY_OK(take_member(parent, member.id, begin + member.offset, member.size, depth));
            }
        }
        return {};
    }

    Result<Unbundled> finish()
    {
        TRY_OK(flush());
        return std::move(done_);
    }

private:
    Result<Buffer> read(std::uint64_t offset, std::uint64_t size) const
    {
        Buffer bytes(static_cast<std::size_t>(size));
        TRY_OK(data_.read_at(offset, bytes));
        return bytes;
    }

    void refuse(const ItemId& id, const Error& error)
    {
        ++done_.refused;
        if (done_.refusals.size() < Unbundled::refusals_max)
            done_.refusals.push_back({id, error});
    }

    Result<void> take_member(const ItemId& parent, const ItemId& id, std::uint64_t begin, std::uint64_t size, int depth)
    {
        // The header alone says whether there are members to put before it, and whether the rest is worth reading.
        TRY(const auto front, read(begin, std::min(size, header_bytes_max)));
        const auto header = item::Header::parse(front);
        if (!header) {
            refuse(id, header.error());
            return {};
        }
        if (header->id() != id) {
            refuse(id,
                {item::errors::bad_bundle,
                    fmt::format("the bundle names {}, but the item there is {}", id.text(), header->id().text()), ""});
            return {};
        }
        const auto inner = [&]() -> Result<void> {
            if (!item::is_bundle(header->tags()) || depth >= bundle_depth_max)
                return {};
            auto taken = take_bundle(id, begin + header->size(), size - header->size(), depth + 1);
            if (!taken && taken.error().code == item::errors::bad_bundle) {
                refuse(id, taken.error());
                return {};
            }
            return taken;
        };
        if (weave_.has(id)) {
            ++done_.members;
            return inner();
        }
        Upload upload(weave_.blobs());
        for (std::uint64_t at = 0; at < size;) {
            TRY(const auto piece, read(begin + at, std::min<std::uint64_t>(piece_bytes, size - at)));
            TRY_OK(upload.append(piece));
            at += piece.size();
        }
        auto item = upload.finish();
        if (!item && item.error().code.starts_with("item.")) {
            refuse(id, item.error());
            return {};
        }
        if (!item)
            return std::unexpected(item.error());
        TRY_OK(inner());
        item->bundle = parent;
        ++done_.members;
        waiting_bytes_ += item->data.size() + item->header.size();
        waiting_.push_back(*std::move(item));
        return waiting_.size() >= batch_items_max || waiting_bytes_ >= batch_bytes_max ? flush() : Result<void>{};
    }

    Result<void> flush()
    {
        if (!waiting_.empty())
            TRY_OK(weave_.put(std::move(waiting_)));
        waiting_.clear();
        waiting_bytes_ = 0;
        return {};
    }

    Weave& weave_;
    const ItemData& data_;
    Unbundled done_;
    std::vector<NewItem> waiting_;
    std::uint64_t waiting_bytes_ = 0;
};

}  // namespace

Result<Unbundled> unbundle(Weave& weave, const ItemId& bundle, const ItemData& data)
{
    Taker taker(weave, data);
    TRY_OK(taker.take_bundle(bundle, 0, data.size(), 1));
    return taker.finish();
}

Result<std::unique_ptr<ItemData>> data_of(Weave& weave, const NewItem& item)
{
    if (!item.blob)
        return std::make_unique<ItemData>(item.data);
    TRY(auto file, weave.blobs().read(*item.blob));
    return std::make_unique<ItemData>(std::move(file), item.data_size);
}

Result<Taken> take(Weave& weave, NewItem item)
{
    Taken taken;
    if (item::is_bundle(item.header.tags())) {
        TRY(const auto data, data_of(weave, item));
        auto apart = unbundle(weave, item.header.id(), *data);
        if (apart)
            taken.bundle = *std::move(apart);
        else if (apart.error().code == item::errors::bad_bundle)
            taken.no_bundle = apart.error();
        else
            return std::unexpected(apart.error());
    }
    std::vector<NewItem> items;
    items.push_back(std::move(item));
    TRY(taken.block, weave.put(std::move(items)));
    return taken;
}

}  // namespace altiplano::weave
