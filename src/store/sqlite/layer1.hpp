#pragma once

#include "store/layer1.hpp"
#include "store/sqlite/database.hpp"

#include <mutex>

namespace altiplano::store::sqlite {

/// The tables of layer1.hpp, part of the schema of records.db.
extern const char* const layer1_schema;

/// Their queries, on whichever connection; inside a transaction they see its own writes.
class Layer1Queries final : public Layer1Writer {
public:
    explicit Layer1Queries(Database& database)
        : database_(database)
    {
    }
    Result<WalletRecord> wallet(std::string_view address) override;
    Result<std::optional<PlaceRecord>> place(const ItemId& id) override;
    Result<std::optional<PlaceRecord>> place_at(std::uint64_t offset) override;
    Result<std::optional<PlaceRecord>> place_with(const Digest& data_root, std::uint64_t size) override;
    Result<std::uint64_t> weave_size(std::uint64_t height) override;
    Result<std::optional<PendingRecord>> pending(const ItemId& id) override;
    Result<std::vector<PendingRecord>> pending_for(const Digest& data_root, std::uint64_t size) override;
    Result<std::vector<ItemId>> all_pending() override;
    Result<std::optional<ChunkRecord>> chunk_at(const Digest& data_root, std::uint64_t size, std::uint64_t offset) override;
    Result<std::uint64_t> chunk_bytes(const Digest& data_root, std::uint64_t size) override;

    Result<void> put_wallet(std::string_view address, const WalletRecord& wallet) override;
    Result<void> put_place(const PlaceRecord& place) override;
    Result<void> put_pending(const PendingRecord& pending) override;
    Result<void> set_pending_blob(const Digest& data_root, std::uint64_t size, const Digest& blob) override;
    Result<void> remove_pending(const ItemId& id) override;
    Result<void> put_chunk(const Digest& data_root, std::uint64_t size, const ChunkRecord& chunk) override;
    Result<void> remove_chunks(const Digest& data_root, std::uint64_t size) override;

private:
    Database& database_;
};

/// The reads on a connection that others use too, one at a time.
class LockedLayer1 final : public Layer1Reader {
public:
    LockedLayer1(std::mutex& mutex, Database& database)
        : mutex_(mutex)
        , queries_(database)
    {
    }
    Result<WalletRecord> wallet(std::string_view address) override;
    Result<std::optional<PlaceRecord>> place(const ItemId& id) override;
    Result<std::optional<PlaceRecord>> place_at(std::uint64_t offset) override;
    Result<std::optional<PlaceRecord>> place_with(const Digest& data_root, std::uint64_t size) override;
    Result<std::uint64_t> weave_size(std::uint64_t height) override;
    Result<std::optional<PendingRecord>> pending(const ItemId& id) override;
    Result<std::vector<PendingRecord>> pending_for(const Digest& data_root, std::uint64_t size) override;
    Result<std::vector<ItemId>> all_pending() override;
    Result<std::optional<ChunkRecord>> chunk_at(const Digest& data_root, std::uint64_t size, std::uint64_t offset) override;
    Result<std::uint64_t> chunk_bytes(const Digest& data_root, std::uint64_t size) override;

private:
    std::mutex& mutex_;
    Layer1Queries queries_;
};

}  // namespace altiplano::store::sqlite
