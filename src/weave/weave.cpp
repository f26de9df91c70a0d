#include "weave/weave.hpp"

#include "base/base64url.hpp"
#include "item/data_root.hpp"
#include "item/deep_hash.hpp"
#include "item/transaction.hpp"
#include "store/errors.hpp"
#include "store/references.hpp"
#include "weave/errors.hpp"
#include "weave/index.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::weave {

namespace {

BlockHash hash_of(const Block& block)
{
    Buffer content = to_buffer("altiplano block 1");
    append_u64(content, block.height);
    append_u64(content, static_cast<std::uint64_t>(block.timestamp_ms));
    append(content, block.previous.bytes());
    append_u64(content, block.items.size());
    for (const auto& item : block.items)
        append(content, item.bytes());
    return BlockHash(sha256(content));
}

store::ItemRecord to_record(const NewItem& item, std::uint64_t height)
{
    return {.id = item.header.id(),
        .header = to_buffer(item.header.wire()),
        .data = item.data,
        .blob = item.blob,
        .data_size = item.data_size,
        .height = height,
        .owner = item.header.owner().text(),
        .bundle = item.bundle,
        .terms = terms_of(item.header, item.bundle)};
}

}  // namespace

Result<void> ItemData::read_at(std::uint64_t offset, std::span<std::byte> into) const
{
    ENSURE(offset <= size_ && into.size() <= size_ - offset, "callers stay inside the item");
    if (!file_) {
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
        return {};
    }
    TRY(const auto got, file_->read_at(offset, into));
    if (got != into.size())
        return fail(
            errors::broken_item, fmt::format("the item's file ends at {}, its record says {} bytes", offset + got, size_));
    return {};
}

Result<Buffer> ItemData::all() const
{
    Buffer bytes(static_cast<std::size_t>(size_));
    TRY_OK(read_at(0, bytes));
    return bytes;
}

Result<std::unique_ptr<Weave>> Weave::open(store::Records& records, store::Blobs& blobs, Clock& clock, Random& random)
{
    std::array<std::byte, 32> link;
    random.fill(link);
    TRY_OK(records.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY(const auto there, writer.tip());
        if (there)
            return {};
        Block genesis{.height = 0, .hash = {}, .previous = BlockHash(link), .timestamp_ms = clock.wall_ms(), .items = {}};
        genesis.hash = hash_of(genesis);
        return writer.put_block(genesis);
    }));
    TRY_OK(bring_index_up_to_date(records));
    return open_to_read(records, blobs, clock);
}

Result<std::unique_ptr<Weave>> Weave::open_to_read(store::Records& records, store::Blobs& blobs, Clock& clock)
{
    TRY(const auto genesis, records.block(0));
    if (!genesis)
        return fail(errors::no_weave, "these records hold no weave");
    TRY_OK(check_index(records));
    return std::unique_ptr<Weave>(new Weave(records, blobs, clock, WeaveId(genesis->hash)));
}

Result<Block> Weave::tip()
{
    TRY(const auto found, records_.tip());
    ENSURE(found, "open() has sealed block 0");
    return *found;
}

namespace {
Result<Block> checked(std::optional<Block> found, const std::string& name)
{
    if (!found)
        return fail(errors::unknown_block, fmt::format("there is no block {}", name), "GET /info says which is the newest");
    if (hash_of(*found) != found->hash)
        return fail(errors::broken_block,
            fmt::format("block {} is stored as {}, but its content hashes to {}", found->height, found->hash.text(),
                hash_of(*found).text()));
    return *std::move(found);
}
}  // namespace

Result<Block> Weave::block(std::uint64_t height)
{
    TRY(auto found, records_.block(std::min(height, std::uint64_t{INT64_MAX})));
    return checked(std::move(found), std::to_string(height));
}

Result<Block> Weave::block_of(const BlockHash& hash)
{
    TRY(auto found, records_.block_by_hash(hash));
    return checked(std::move(found), hash.text());
}

Result<Block> Weave::seal(const Make& make)
{
    return seal_with(make, false);
}

Result<Block> Weave::seal_empty()
{
    return seal_with(
        [](store::RecordsWriter&, const Block&) -> Result<std::vector<NewItem>> { return std::vector<NewItem>{}; }, true);
}

Result<Block> Weave::seal_with(const Make& make, bool even_empty)
{
    Block sealed;
    TRY_OK(records_.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY(const auto tip, writer.tip());
        ENSURE(tip, "open() has sealed block 0");
        TRY(const auto items, make(writer, *tip));

        // Times are strictly increasing whatever the clock does: assignments take theirs from here.
        Block next{.height = tip->height + 1,
            .hash = {},
            .previous = tip->hash,
            .timestamp_ms = std::max(clock_.wall_ms(), tip->timestamp_ms + 1),
            .items = {}};
        for (const auto& item : items) {
            const auto id = item.header.id();
            TRY(const auto known, writer.item_without_data(id));
            if (known)
                continue;
            TRY_OK(writer.put_item(to_record(item, next.height)));
            next.items.push_back(id);
        }
        if (next.items.empty() && !even_empty) {
            sealed = *tip;
            return {};
        }
        next.hash = hash_of(next);
        sealed = next;
        return writer.put_block(next);
    }));
    return sealed;
}

Result<Block> Weave::put(std::vector<NewItem> items)
{
    return seal([&](store::RecordsWriter&, const Block&) -> Result<std::vector<NewItem>> { return items; });
}

Result<store::ItemRecord> Weave::record(const ItemId& id, bool with_data)
{
    TRY(auto found, with_data ? records_.item(id) : records_.item_without_data(id));
    if (!found)
        return fail(
            errors::unknown_item, fmt::format("there is no item {} in this weave", id.text()), "`altiplano put` stores one");
    return *std::move(found);
}

Result<StoredItem> Weave::item(const ItemId& id)
{
    TRY(const auto found, record(id, false));
    return item_of(found);
}

Result<StoredItem> Weave::item_of(const store::ItemRecord& record)
{
    auto header = item::Header::parse_stored(record.header);
    if (!header)
        return fail(errors::broken_item,
            fmt::format("the stored header of {} cannot be read: {}", record.id.text(), header.error().sentence));
    if (header->id() != record.id)
        return fail(errors::broken_item,
            fmt::format("what is stored as {} has a signature that makes it {}", record.id.text(), header->id().text()));
    return StoredItem{
        .header = *std::move(header), .data_size = record.data_size, .height = record.height, .bundle = record.bundle};
}

bool Weave::has(const ItemId& id)
{
    const auto found = records_.item_without_data(id);
    return found && found->has_value();
}

Result<std::unique_ptr<ItemData>> Weave::data(const ItemId& id)
{
    TRY(auto found, record(id));
    if (!found.blob) {
        if (found.data.size() != found.data_size)
            return fail(errors::broken_item,
                fmt::format(
                    "item {} should have {} bytes of data, {} are stored", id.text(), found.data_size, found.data.size()));
        return std::make_unique<ItemData>(std::move(found.data));
    }
    TRY(auto file, blobs_.read(*found.blob));
    {
        // One thread reads a large file through, the others wait for it and need not. A file that lies elsewhere is read again
        // when somebody wrote to it.
        const std::lock_guard lock(checking_);
        auto checked = *found.blob;
        if (const auto changed_ns = store::changed_ns(blobs_, checked); changed_ns != 0)
            checked = sha256(as_bytes(fmt::format("{} changed {}", hex(checked.bytes()), changed_ns)));
        if (!checked_.contains(checked)) {
            TRY(const auto hash, store::sha256_of(*file));
            if (hash != *found.blob)
                return fail(errors::broken_item,
                    fmt::format("the data of item {} is stored under SHA-256 {}, but hashes to {}", id.text(),
                        hex(found.blob->bytes()), hex(hash.bytes())),
                    "the file was changed: put the item again after removing it");
            checked_.insert(checked);
        }
    }
    return std::make_unique<ItemData>(std::move(file), found.data_size);
}

Result<item::DataItem> Weave::whole(const ItemId& id)
{
    TRY(auto stored, item(id));
    TRY(const auto bytes, data(id));
    TRY(auto content, bytes->all());
    return item::join(std::move(stored.header), std::move(content));
}

Result<void> Weave::check(const ItemId& id)
{
    TRY(const auto stored, item(id));
    TRY(const auto found, record(id));
    const auto data = [&]() -> Result<std::unique_ptr<ItemData>> {
        if (!found.blob)
            return std::make_unique<ItemData>(found.data);
        TRY(auto file, blobs_.read(*found.blob));
        TRY(const auto size, file->size());
        return std::make_unique<ItemData>(std::move(file), size);
    }();
    if (!data)
        return std::unexpected(data.error());
    const auto broken = [&](const Error& error) {
        return fail(errors::broken_item, fmt::format("item {} is not what was signed: {}", id.text(), error.sentence));
    };
    if (const auto* const layer1 = stored.header.layer1()) {
        const auto checked = [&]() -> Result<void> {
            if (layer1->format == 2)
                return check_chunks(stored.header, **data);
            TRY(const auto bytes, (*data)->all());
            return item::verify_data(stored.header, bytes);
        }();
        return checked ? Result<void>{} : broken(checked.error());
    }
    Sha384Hasher hasher;
    Buffer step(1 << 20);
    for (std::uint64_t at = 0; at < (*data)->size();) {
        const auto piece =
            std::span(step).first(static_cast<std::size_t>(std::min<std::uint64_t>(step.size(), (*data)->size() - at)));
        TRY_OK((*data)->read_at(at, piece));
        hasher.update(piece);
        at += piece.size();
    }
    const auto verified = stored.header.verify(item::deep_hash_blob((*data)->size(), hasher.finish()));
    return verified ? Result<void>{} : broken(verified.error());
}

/// Chunk by chunk along the paths that came with them, since an uploader may cut its data as it likes.
Result<void> Weave::check_chunks(const item::Header& transaction, const ItemData& data)
{
    TRY_OK(transaction.verify({}));
    const auto& layer1 = *transaction.layer1();
    if (data.size() != layer1.data_size)
        return fail(errors::broken_item, fmt::format("{} bytes were signed, {} are stored", layer1.data_size, data.size()));
    Buffer bytes;
    for (std::uint64_t at = 0; at < data.size();) {
        TRY(const auto chunk, records_.layer1().chunk_at(*layer1.data_root, data.size(), at));
        if (!chunk)
            return fail(errors::broken_item, fmt::format("the path of the chunk at {} is missing", at));
        TRY(const auto proven, item::follow(chunk->path, *layer1.data_root, data.size(), at));
        bytes.resize(static_cast<std::size_t>(proven.end - at));
        TRY_OK(data.read_at(at, bytes));
        if (proven.begin != at || sha256(bytes) != proven.data_hash)
            return fail(errors::broken_item, fmt::format("the chunk at {} is another one", at));
        at = proven.end;
    }
    return {};
}

Result<bool> Weave::has_item_with(const std::vector<std::pair<std::string, std::string>>& tags,
    const std::vector<std::string>& owners, std::uint64_t height_max)
{
    store::Find find{.height_max = height_max, .limit = 1};
    for (const auto& [name, value] : tags)
        find.each_of.push_back({store::Term::tag(name, value)});
    auto& any_owner = find.each_of.emplace_back();
    for (const auto& owner : owners)
        any_owner.push_back(store::Term::owner(owner));
    store::Work unbounded;
    TRY(const auto found, records_.find(find, unbounded));
    return !found.ids.empty();
}

Result<void> adopt(store::Records& records, const Block& block, const std::vector<NewItem>& items)
{
    if (hash_of(block) != block.hash)
        return fail(errors::broken_block,
            fmt::format(
                "block {} came as {}, but its content hashes to {}", block.height, block.hash.text(), hash_of(block).text()));
    return records.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY(const auto tip, writer.tip());
        if (tip ? tip->height + 1 != block.height || tip->hash != block.previous : block.height != 0)
            return fail(errors::broken_block, fmt::format("block {} does not follow the newest block here", block.height));
        for (const auto& item : items)
            TRY_OK(writer.put_item(to_record(item, block.height)));
        return writer.put_block(block);
    });
}

}  // namespace altiplano::weave
