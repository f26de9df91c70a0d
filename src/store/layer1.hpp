#pragma once

#include "base/bytes.hpp"
#include "base/id.hpp"
#include "base/result.hpp"

#include <optional>
#include <string>
#include <vector>

/// Records of Arweave's first layer: wallets, where the data of transactions lies, uploads that are not whole yet.
namespace altiplano::store {

struct WalletRecord {
    std::string balance = "0";  ///< Winston, decimal: they outgrow 64 bits
    std::optional<ItemId> last_transaction;
};

/// Where a transaction's data lies in the byte space of all of them, which chunks are asked for by.
struct PlaceRecord {
    ItemId id;
    Digest data_root;
    std::uint64_t size = 0;
    std::uint64_t end = 0;  ///< the data are the `size` bytes before this one
    std::uint64_t height = 0;  ///< of the block that the transaction lies in
};

/// A transaction that is in no block yet, since chunks of its data are missing. Its costs are taken already.
struct PendingRecord {
    ItemId id;
    Buffer header;
    std::string owner;
    std::string cost = "0";  ///< Winston that go back when the upload is given up
    Digest data_root;
    std::uint64_t size = 0;
    std::int64_t begun_ms = 0;
    std::optional<Digest> blob;  ///< that the data is becoming, once all of it is there
};

/// A chunk that was verified: the bytes [`begin`, `end`) of all data with this root and size, and what proves it.
struct ChunkRecord {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    Buffer path;
};

class Layer1Reader {
public:
    virtual ~Layer1Reader() = default;
    virtual Result<WalletRecord> wallet(std::string_view address) = 0;  ///< an empty one for an address never seen
    virtual Result<std::optional<PlaceRecord>> place(const ItemId& id) = 0;
    /// Of the transaction that has the byte at this offset.
    virtual Result<std::optional<PlaceRecord>> place_at(std::uint64_t offset) = 0;
    /// Any one whose data has this root and size.
    virtual Result<std::optional<PlaceRecord>> place_with(const Digest& data_root, std::uint64_t size) = 0;
    /// Bytes of all transactions' data up to a height.
    virtual Result<std::uint64_t> weave_size(std::uint64_t height) = 0;
    virtual Result<std::optional<PendingRecord>> pending(const ItemId& id) = 0;
    /// All that wait for data of this root and size, oldest first.
    virtual Result<std::vector<PendingRecord>> pending_for(const Digest& data_root, std::uint64_t size) = 0;
    virtual Result<std::vector<ItemId>> all_pending() = 0;  ///< oldest first
    /// The chunk that has the byte at this offset inside the data.
    virtual Result<std::optional<ChunkRecord>> chunk_at(const Digest& data_root, std::uint64_t size, std::uint64_t offset) = 0;
    /// How many bytes of the data are in chunks.
    virtual Result<std::uint64_t> chunk_bytes(const Digest& data_root, std::uint64_t size) = 0;
};

class Layer1Writer : public Layer1Reader {
public:
    virtual Result<void> put_wallet(std::string_view address, const WalletRecord& wallet) = 0;  ///< new, or in its place
    virtual Result<void> put_place(const PlaceRecord& place) = 0;  ///< @return store.conflict
    virtual Result<void> put_pending(const PendingRecord& pending) = 0;  ///< @return store.conflict
    virtual Result<void> set_pending_blob(const Digest& data_root, std::uint64_t size, const Digest& blob) = 0;
    virtual Result<void> remove_pending(const ItemId& id) = 0;
    /// The same again is no error. @return store.conflict when it overlaps another one
    virtual Result<void> put_chunk(const Digest& data_root, std::uint64_t size, const ChunkRecord& chunk) = 0;
    virtual Result<void> remove_chunks(const Digest& data_root, std::uint64_t size) = 0;
};

}  // namespace altiplano::store
