#include "weave/transactions.hpp"

#include "base/base64url.hpp"
#include "base/log.hpp"
#include "item/bundle.hpp"
#include "item/errors.hpp"
#include "weave/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace altiplano::weave {

Result<std::unique_ptr<Transactions>> Transactions::open(
    Weave& weave, store::Records& records, Files& files, Clock& clock, Path folder, const Options& options)
{
    TRY_OK(files.make_directories(folder));
    std::unique_ptr<Transactions> made(new Transactions(weave, records, files, clock, std::move(folder), options));
    TRY_OK(made->give_up_old());
    TRY_OK(made->resume());
    return made;
}

Result<void> Transactions::resume()
{
    TRY(const auto ids, pending());
    std::set<Data> all;
    std::set<std::string> names;
    for (const auto& id : ids) {
        TRY(const auto waiting, records_.layer1().pending(id));
        if (waiting && all.emplace(waiting->data_root, waiting->size).second)
            names.insert(path({waiting->data_root, waiting->size}).filename().string());
    }
    for (const auto& data : all) {
        const auto one = upload(data);
        TRY(const auto done, finish(data, *one));
        if (done.block)
            log::info(
                "an upload of {} bytes was whole when the last run ended: it is in block {}", data.second, done.block->height);
    }
    // What belongs to no upload was left by one that ended.
    TRY(const auto there, files_.list(folder_));
    for (const auto& name : there)
        if (!names.contains(name))
            TRY_OK(files_.remove(folder_ / name));
    return {};
}

Result<void> Transactions::give_up_old()
{
    for (;;) {
        TRY(const auto ids, pending());
        if (ids.empty())
            return {};
        TRY(const auto oldest, records_.layer1().pending(ids.front()));
        if (!oldest || clock_.wall_ms() - oldest->begun_ms <= options_.pending_age_max_ms)
            return {};
        const Data data{oldest->data_root, oldest->size};
        const auto one = upload(data);
        const std::unique_lock alone(one->working);
        bool last = false;
        TRY_OK(records_.write([&](store::RecordsWriter& writer) -> Result<void> {
            auto& layer1 = writer.layer1();
            TRY(const auto still, layer1.pending(oldest->id));
            if (!still)
                return {};
            TRY_OK(layer1.remove_pending(oldest->id));
            TRY(const auto cost, item::Winston::parse(oldest->cost));
            TRY_OK(credit(writer, oldest->owner, cost));
            TRY(const auto others, layer1.pending_for(data.first, data.second));
            TRY(const auto placed, layer1.place_with(data.first, data.second));
            last = others.empty();
            return last && !placed ? layer1.remove_chunks(data.first, data.second) : Result<void>{};
        }));
        one->bytes.reset();
        if (last)
            TRY_OK(files_.remove(path(data)));
        log::info("the upload of transaction {} was given up: its data did not come", oldest->id.text());
    }
}

std::shared_ptr<Transactions::Upload> Transactions::upload(const Data& data)
{
    const std::lock_guard lock(uploads_lock_);
    std::erase_if(uploads_, [](const auto& entry) { return entry.second.expired(); });
    auto& slot = uploads_[data];
    auto one = slot.lock();
    if (!one) {
        one = std::make_shared<Upload>();
        slot = one;
    }
    return one;
}

Path Transactions::path(const Data& data) const
{
    return folder_ / fmt::format("{}-{}", hex(data.first.bytes()), data.second);
}

Result<void> Transactions::check_new(store::RecordsReader& records, const ItemId& id)
{
    TRY(const auto stored, records.item(id));
    TRY(const auto waiting, records.layer1().pending(id));
    if (stored || waiting)
        return fail(errors::known_transaction, fmt::format("the transaction {} is here already", id.text()),
            waiting ? "its data is still missing: POST /chunk" : "");
    return {};
}

Result<Transactions::Posted> Transactions::post(item::PostedTransaction transaction)
{
    const auto& layer1 = *transaction.header.layer1();
    TRY_OK(check_new(records_, transaction.header.id()));
    if (layer1.data_size > options_.data_bytes_max)
        return fail(errors::over_limit,
            fmt::format("the transaction has {} bytes of data; at most {} are taken", layer1.data_size, options_.data_bytes_max));
    const bool whole = transaction.data.size() == layer1.data_size;
    return whole ? post_with_data(std::move(transaction)) : post_without_data(transaction);
}

Result<Transactions::Posted> Transactions::post_with_data(item::PostedTransaction transaction)
{
    TRY_OK(item::verify_data(transaction.header, transaction.data));
    const auto& layer1 = *transaction.header.layer1();
    std::vector<item::Chunk> chunks;
    if (layer1.data_root) {
        auto tree = item::data_tree(transaction.data, item::Cut::balanced);
        if (tree.root != *layer1.data_root)
            tree = item::data_tree(transaction.data, item::Cut::even);
        chunks = std::move(tree.chunks);
    }
    const auto item = item::join(transaction.header, std::move(transaction.data));
    TRY(auto staged, stage_own(item, weave_.blobs()));
    return seal(std::move(staged), chunks, Pays::now);
}

Result<Transactions::Posted> Transactions::post_without_data(const item::PostedTransaction& transaction)
{
    TRY_OK(transaction.header.verify({}));
    const auto& header = transaction.header;
    const auto& layer1 = *header.layer1();
    const Data data{*layer1.data_root, layer1.data_size};
    TRY_OK(give_up_old());

    const auto one = upload(data);
    const std::unique_lock alone(one->working);
    TRY(auto known, with_known_data(header, data));
    if (known)
        return seal(*std::move(known), {}, Pays::now);
    TRY_OK(records_.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY_OK(check_new(writer, header.id()));
        TRY(const auto waiting, writer.layer1().all_pending());
        if (waiting.size() >= options_.pending_max)
            return fail(errors::over_limit, fmt::format("{} uploads are begun and not whole; no more are taken", waiting.size()),
                "finish some, or wait until they are given up");
        TRY(const auto tip, writer.tip());
        ENSURE(tip, "the weave has block 0");
        TRY(const auto cost, charge(writer, header, options_.price, *tip));
        return writer.layer1().put_pending({.id = header.id(),
            .header = to_buffer(header.wire()),
            .owner = header.owner().text(),
            .cost = cost.text(),
            .data_root = data.first,
            .size = data.second,
            .begun_ms = clock_.wall_ms(),
            .blob = {}});
    }));
    return Posted{};
}

/// The data may be here: the same bytes were uploaded by another transaction.
Result<std::optional<NewItem>> Transactions::with_known_data(const item::Header& header, const Data& data)
{
    TRY(const auto place, records_.layer1().place_with(data.first, data.second));
    if (!place)
        return std::optional<NewItem>{};
    TRY(auto other, records_.item(place->id));
    if (!other)
        return fail(errors::broken_item, fmt::format("the transaction {} has a place and is not there", place->id.text()));
    return std::optional(
        NewItem{.header = header, .data = std::move(other->data), .blob = other->blob, .data_size = other->data_size});
}

Result<Transactions::Posted> Transactions::take_in(NewItem item, const std::vector<item::Chunk>& chunks)
{
    return seal(std::move(item), chunks, Pays::nothing);
}

/// Puts a transaction whose data is here into a block, the members of a bundle before it.
Result<Transactions::Posted> Transactions::seal(NewItem item, const std::vector<item::Chunk>& chunks, Pays pays)
{
    Posted posted;
    if (item::is_bundle(item.header.tags())) {
        TRY(const auto data, data_of(weave_, item));
        auto apart = unbundle(weave_, item.header.id(), *data);
        if (apart)
            posted.bundle = *std::move(apart);
        else if (apart.error().code == item::errors::bad_bundle)
            posted.no_bundle = apart.error();
        else
            return std::unexpected(apart.error());
    }
    TRY(posted.block, weave_.seal([&](store::RecordsWriter& writer, const Block& tip) -> Result<std::vector<NewItem>> {
        const auto& header = item.header;
        const auto& layer1 = *header.layer1();
        if (pays == Pays::has_paid)
            TRY_OK(writer.layer1().remove_pending(header.id()));
        else
            TRY_OK(check_new(writer, header.id()));
        if (pays == Pays::now)
            TRY_OK(charge(writer, header, options_.price, tip));
        if (pays != Pays::nothing && header.target())
            TRY_OK(credit(writer, header.target()->text(), layer1.quantity));
        if (layer1.data_root) {
            TRY(const auto before, writer.layer1().weave_size(tip.height));
            TRY_OK(writer.layer1().put_place({.id = header.id(),
                .data_root = *layer1.data_root,
                .size = layer1.data_size,
                .end = before + layer1.data_size,
                .height = tip.height + 1}));
            for (const auto& chunk : chunks)
                TRY_OK(writer.layer1().put_chunk(
                    *layer1.data_root, layer1.data_size, {.begin = chunk.begin, .end = chunk.end, .path = chunk.path}));
        }
        return std::vector<NewItem>{item};
    }));
    return posted;
}

Result<Transactions::Posted> Transactions::put_chunk(const NewChunk& chunk)
{
    TRY(const auto proven, item::follow(chunk.path, chunk.data_root, chunk.data_size, chunk.offset));
    if (chunk.bytes.size() != proven.end - proven.begin || sha256(chunk.bytes) != proven.data_hash)
        return fail(errors::bad_chunk,
            fmt::format("the chunk's {} bytes are not those that its path proves for {} to {}", chunk.bytes.size(), proven.begin,
                proven.end));
    const Data data{chunk.data_root, chunk.data_size};
    const auto one = upload(data);
    {
        const std::shared_lock together(one->working);
        TRY(const auto waiting, records_.layer1().pending_for(data.first, data.second));
        if (waiting.empty()) {
            TRY(const auto place, records_.layer1().place_with(data.first, data.second));
            if (place)
                return Posted{};  // the data was whole before
            return fail(errors::unknown_upload,
                fmt::format("no transaction here waits for data of {} bytes with the root {}", data.second, data.first.text()),
                "post the transaction first, then its chunks");
        }
        {
            // Counted once, before any chunk of this object's time is added.
            const std::lock_guard lock(one->counting);
            if (!one->bytes) {
                TRY(one->bytes, records_.layer1().chunk_bytes(data.first, data.second));
            }
        }
        TRY(const auto fresh, keep_chunk(chunk, proven));
        const std::lock_guard lock(one->counting);
        if (fresh)
            *one->bytes += proven.end - proven.begin;
        if (*one->bytes != data.second)
            return Posted{};
    }
    return finish(data, *one);
}

/// @return whether it is new
Result<bool> Transactions::keep_chunk(const NewChunk& chunk, const item::Proven& proven)
{
    TRY(const auto known, records_.layer1().chunk_at(chunk.data_root, chunk.data_size, proven.begin));
    if (known)
        return false;
    const auto name = path({chunk.data_root, chunk.data_size});
    const bool made = !files_.exists(name);
    TRY(const auto file, files_.open(name, Files::Mode::create));
    TRY_OK(file->write_at(proven.begin, chunk.bytes));
    TRY_OK(file->sync());
    if (made)
        TRY_OK(files_.sync_directory(folder_));
    bool fresh = false;
    TRY_OK(records_.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY(const auto there, writer.layer1().chunk_at(chunk.data_root, chunk.data_size, proven.begin));
        fresh = !there;
        return writer.layer1().put_chunk(
            chunk.data_root, chunk.data_size, {.begin = proven.begin, .end = proven.end, .path = chunk.path});
    }));
    return fresh;
}

/// When all chunks are there, makes an item of the file and seals everything that waited for it.
Result<Transactions::Posted> Transactions::finish(const Data& data, Upload& upload)
{
    const std::unique_lock alone(upload.working);
    TRY(const auto waiting, records_.layer1().pending_for(data.first, data.second));
    TRY(const auto bytes, records_.layer1().chunk_bytes(data.first, data.second));
    if (waiting.empty() || bytes != data.second)
        return Posted{};

    const auto name = path(data);
    TRY(auto known, with_known_data({}, data));
    const bool is_known = known.has_value();
    NewItem whole = is_known ? *std::move(known) : NewItem{.header = {}, .data_size = data.second};
    if (is_known) {
        // Another transaction brought the same data whole, while this one's chunks came.
    } else if (data.second < store::Blobs::size_min) {
        TRY(whole.data, read_file(files_, name));
    } else if (files_.exists(name)) {
        {
            TRY(const auto file, files_.open(name, Files::Mode::read));
            TRY(whole.blob, store::sha256_of(*file));
        }
        // Written down first: after a crash behind the move nobody else would know what the blob is of.
        TRY_OK(records_.write([&](store::RecordsWriter& writer) {
            return writer.layer1().set_pending_blob(data.first, data.second, *whole.blob);
        }));
        TRY_OK(weave_.blobs().take(name, *whole.blob));
    } else {
        whole.blob = waiting.front().blob;
        if (!whole.blob)
            return fail(errors::broken_item,
                fmt::format("the chunks of transaction {} are recorded, but their file {} is gone", waiting.front().id.text(),
                    name.string()),
                "post the chunks of another transaction with the same data, or wait until this upload is given up");
    }
    Posted first;
    for (const auto& pending : waiting) {
        auto item = whole;
        TRY(item.header, item::Header::parse_stored(pending.header));
        TRY(auto posted, seal(std::move(item), {}, Pays::has_paid));
        if (!first.block)
            first = std::move(posted);
    }
    TRY_OK(files_.remove(name));
    return first;
}

Result<Transactions::Found> Transactions::find(const ItemId& id)
{
    auto stored = weave_.item(id);
    if (stored)
        return Found{.header = std::move(stored->header), .data_size = stored->data_size, .height = stored->height};
    if (stored.error().code != errors::unknown_item)
        return std::unexpected(stored.error());
    TRY(const auto waiting, records_.layer1().pending(id));
    if (!waiting)
        return std::unexpected(stored.error());
    TRY(auto header, item::Header::parse_stored(waiting->header));
    return Found{.header = std::move(header), .data_size = waiting->size};
}

Result<std::vector<ItemId>> Transactions::pending()
{
    return records_.layer1().all_pending();
}

Result<store::PlaceRecord> Transactions::place(const ItemId& id)
{
    TRY(const auto place, records_.layer1().place(id));
    if (!place)
        return fail(errors::unknown_item, fmt::format("{} is no transaction with data in a block of this weave", id.text()),
            "the data of data items has no offset: GET /{id} gives it");
    return *place;
}

Result<Transactions::FoundChunk> Transactions::chunk(std::uint64_t offset)
{
    TRY(const auto place, records_.layer1().place_at(offset));
    const auto begin = place ? place->end - place->size : 0;
    const auto inside = offset - begin;
    const auto chunk = [&]() -> Result<std::optional<store::ChunkRecord>> {
        if (!place || offset < begin)
            return std::optional<store::ChunkRecord>{};
        return records_.layer1().chunk_at(place->data_root, place->size, inside);
    }();
    if (!chunk)
        return std::unexpected(chunk.error());
    if (!*chunk)
        return fail(errors::unknown_chunk, fmt::format("no chunk of this weave has a byte at {}", offset),
            "GET /tx/{id}/offset says where a transaction's data lies");
    TRY(const auto data, weave_.data(place->id));
    FoundChunk found{.bytes = Buffer(static_cast<std::size_t>((*chunk)->end - (*chunk)->begin)), .path = (*chunk)->path};
    TRY_OK(data->read_at((*chunk)->begin, found.bytes));
    return found;
}

Result<std::uint64_t> Transactions::weave_size(std::uint64_t height)
{
    return records_.layer1().weave_size(height);
}

Result<store::WalletRecord> Transactions::wallet(std::string_view address)
{
    return records_.layer1().wallet(address);
}

Result<item::Winston> Transactions::mint(std::string_view address, item::Winston amount)
{
    item::Winston balance;
    TRY_OK(records_.write([&](store::RecordsWriter& writer) -> Result<void> {
        TRY_OK(credit(writer, address, amount));
        TRY(const auto wallet, writer.layer1().wallet(address));
        TRY(balance, item::Winston::parse(wallet.balance));
        return {};
    }));
    return balance;
}

}  // namespace altiplano::weave
