#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "item/data_item.hpp"
#include "store/blobs.hpp"
#include "store/records.hpp"
#include "weave/upload.hpp"

#include <mutex>
#include <set>

namespace altiplano::weave {

using Block = store::BlockRecord;

/// An item of the weave without its data.
struct StoredItem {
    item::Header header;
    std::uint64_t data_size = 0;
    std::uint64_t height = 0;  ///< of the block it lies in
    std::optional<ItemId> bundle{};  ///< that it came in
};

/// The data of an item, of any size, or of several put together. Reads may run on several threads.
class ItemData {
public:
    virtual ~ItemData() = default;
    explicit ItemData(Buffer bytes)
        : bytes_(std::move(bytes))
        , size_(bytes_.size())
    {
    }
    ItemData(std::unique_ptr<File> file, std::uint64_t size)
        : file_(std::move(file))
        , size_(size)
    {
    }

    std::uint64_t size() const noexcept { return size_; }
    /// Fills `into` from `offset`; both inside the data. @return weave.broken_item when the file is shorter, base.*
    virtual Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) const;
    Result<Buffer> all() const;
    /// The file that holds exactly these bytes; -1 when they are in memory.
    int descriptor() const noexcept { return file_ ? file_->descriptor() : -1; }

protected:
    explicit ItemData(std::uint64_t size)
        : size_(size)
    {
    }

private:
    Buffer bytes_;
    std::unique_ptr<File> file_;
    std::uint64_t size_;
};

/// The chain of blocks that items live in. Here every write seals a block at once, so that what was just stored is
/// readable and admissible; block 0 has no item and a random link, and its hash is the weave's id.
/// Safe from any thread.
class Weave {
public:
    /// Opens the weave of these records, or begins one. @return store.*
    static Result<std::unique_ptr<Weave>> open(store::Records& records, store::Blobs& blobs, Clock& clock, Random& random);
    /// Opens one that nobody writes through this object. @return weave.no_weave, weave.no_index, store.*
    static Result<std::unique_ptr<Weave>> open_to_read(store::Records& records, store::Blobs& blobs, Clock& clock);

    WeaveId id() const noexcept { return id_; }
    /// The newest block. @return store.*
    Result<Block> tip();
    /// @return weave.unknown_block; weave.broken_block unless its hash is that of its content
    Result<Block> block(std::uint64_t height);
    /// The same by its hash.
    Result<Block> block_of(const BlockHash& hash);

    /// What goes into the next block, made inside its transaction. `tip` is the block before it. Items that are in the
    /// weave already are passed over; when none is left no block is sealed.
    using Make = std::function<Result<std::vector<NewItem>>(store::RecordsWriter& records, const Block& tip)>;
    /// Seals a block in one transaction with whatever else `make` writes; durable when it returns.
    /// @return the block, or the tip when nothing was new; what `make` returns; store.*
    Result<Block> seal(const Make& make);
    Result<Block> put(std::vector<NewItem> items);
    /// Seals a block though there is nothing to put into it: for development, where tests ask for one.
    Result<Block> seal_empty();

    /// @return weave.unknown_item; weave.broken_item when the stored bytes are not an item of that id
    Result<StoredItem> item(const ItemId& id);
    /// What a record that a search found says. @return weave.broken_item
    static Result<StoredItem> item_of(const store::ItemRecord& record);
    bool has(const ItemId& id);
    /// An item's data. A blob is read through once per life of this object, and must have the hash that names it.
    /// @return weave.unknown_item, weave.broken_item, store.*, base.*
    Result<std::unique_ptr<ItemData>> data(const ItemId& id);
    /// Both in memory: for messages. @return as `item` and `data`
    Result<item::DataItem> whole(const ItemId& id);
    /// Reads all of an item and verifies its signature, of a transaction its chunks too: what a doubter does.
    /// @return weave.broken_item with what broke
    Result<void> check(const ItemId& id);

    /// Whether one of `owners` said so at or below a height: an item with all `tags`.
    Result<bool> has_item_with(const std::vector<std::pair<std::string, std::string>>& tags,
        const std::vector<std::string>& owners, std::uint64_t height_max);

    /// Programs have ids of AO's public network built in: a module of aos, a model. For development: what stands here for a
    /// published id that is not in this weave. Set before anybody asks.
    void resolve_by(std::function<std::optional<ItemId>(const ItemId& published)> aliases) { aliases_ = std::move(aliases); }
    /// The id of the item that answers for `id`: itself, nearly always. @return store.*
    Result<ItemId> real(const ItemId& id);

    store::Blobs& blobs() noexcept { return blobs_; }

private:
    Weave(store::Records& records, store::Blobs& blobs, Clock& clock, WeaveId id)
        : records_(records)
        , blobs_(blobs)
        , clock_(clock)
        , id_(id)
    {
    }
    Result<Block> seal_with(const Make& make, bool even_empty);
    Result<store::ItemRecord> record(const ItemId& id, bool with_data = true);
    Result<void> check_chunks(const item::Header& transaction, const ItemData& data);

    store::Records& records_;
    store::Blobs& blobs_;
    Clock& clock_;
    WeaveId id_;
    std::function<std::optional<ItemId>(const ItemId&)> aliases_;
    std::mutex checking_;
    std::set<Digest> checked_;  ///< blobs whose bytes were read through
};

/// Writes a block of another node's weave, as it is there: for copies that follow. Its items were verified.
/// @return weave.broken_block unless it has the hash of its content and follows the newest block
Result<void> adopt(store::Records& records, const Block& block, const std::vector<NewItem>& items);

}  // namespace altiplano::weave
