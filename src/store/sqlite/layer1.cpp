#include "store/sqlite/layer1.hpp"

#include "store/errors.hpp"

#include <fmt/format.h>

namespace altiplano::store::sqlite {

const char* const layer1_schema = R"(
    CREATE TABLE IF NOT EXISTS wallets (address BLOB PRIMARY KEY, balance BLOB NOT NULL, last_transaction BLOB) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS places (id BLOB NOT NULL UNIQUE, data_root BLOB NOT NULL, size INTEGER NOT NULL, end INTEGER PRIMARY KEY, height INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS places_height ON places (height);
    CREATE INDEX IF NOT EXISTS places_data ON places (data_root, size);
    CREATE TABLE IF NOT EXISTS pending (id BLOB NOT NULL UNIQUE, header BLOB NOT NULL, owner BLOB NOT NULL, cost BLOB NOT NULL,
        data_root BLOB NOT NULL, size INTEGER NOT NULL, begun_ms INTEGER NOT NULL, blob BLOB);
    CREATE INDEX IF NOT EXISTS pending_data ON pending (data_root, size);
    CREATE TABLE IF NOT EXISTS chunks (data_root BLOB NOT NULL, size INTEGER NOT NULL, end INTEGER NOT NULL, begin INTEGER NOT NULL, path BLOB NOT NULL,
        PRIMARY KEY (data_root, size, end)) WITHOUT ROWID;
)";

namespace {

Result<std::optional<PlaceRecord>> read_place(Statement& row)
{
    TRY(const auto there, row.step());
    if (!there)
        return std::optional<PlaceRecord>{};
    PlaceRecord place;
    TRY(place.id, row.id<ItemId>(0));
    TRY(place.data_root, row.id<Digest>(1));
    place.size = row.unsigned_number(2);
    place.end = row.unsigned_number(3);
    place.height = row.unsigned_number(4);
    return std::optional(place);
}

Result<std::vector<PendingRecord>> read_pending(Statement& row)
{
    std::vector<PendingRecord> found;
    for (;;) {
        TRY(const auto there, row.step());
        if (!there)
            return found;
        PendingRecord pending;
        TRY(pending.id, row.id<ItemId>(0));
        pending.header = to_buffer(row.bytes(1));
        pending.owner = row.text(2);
        pending.cost = row.text(3);
        TRY(pending.data_root, row.id<Digest>(4));
        pending.size = row.unsigned_number(5);
        pending.begun_ms = row.number(6);
        if (!row.is_null(7)) {
            TRY(pending.blob, row.id<Digest>(7));
        }
        found.push_back(std::move(pending));
    }
}

}  // namespace

Result<WalletRecord> Layer1Queries::wallet(std::string_view address)
{
    auto row = database_.prepare("SELECT balance, last_transaction FROM wallets WHERE address = ?");
    TRY(const auto there, row.bind(address).step());
    if (!there)
        return WalletRecord{};
    WalletRecord wallet{.balance = row.text(0), .last_transaction = {}};
    if (!row.is_null(1)) {
        TRY(wallet.last_transaction, row.id<ItemId>(1));
    }
    return wallet;
}

Result<std::optional<PlaceRecord>> Layer1Queries::place(const ItemId& id)
{
    auto row = database_.prepare("SELECT id, data_root, size, end, height FROM places WHERE id = ?");
    return read_place(row.bind(id));
}

Result<std::optional<PlaceRecord>> Layer1Queries::place_at(std::uint64_t offset)
{
    if (offset > INT64_MAX)
        return std::optional<PlaceRecord>{};
    auto row = database_.prepare("SELECT id, data_root, size, end, height FROM places WHERE end > ? ORDER BY end LIMIT 1");
    return read_place(row.bind(offset));
}

Result<std::optional<PlaceRecord>> Layer1Queries::place_with(const Digest& data_root, std::uint64_t size)
{
    auto row = database_.prepare(
        "SELECT id, data_root, size, end, height FROM places WHERE data_root = ? AND size = ? ORDER BY end LIMIT 1");
    return read_place(row.bind(data_root).bind(size));
}

Result<std::uint64_t> Layer1Queries::weave_size(std::uint64_t height)
{
    auto row = database_.prepare("SELECT end FROM places WHERE height <= ? ORDER BY height DESC, end DESC LIMIT 1");
    TRY(const auto there, row.bind(height).step());
    return there ? row.unsigned_number(0) : 0;
}

Result<std::optional<PendingRecord>> Layer1Queries::pending(const ItemId& id)
{
    auto row = database_.prepare("SELECT id, header, owner, cost, data_root, size, begun_ms, blob FROM pending WHERE id = ?");
    TRY(auto found, read_pending(row.bind(id)));
    return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

Result<std::vector<PendingRecord>> Layer1Queries::pending_for(const Digest& data_root, std::uint64_t size)
{
    auto row = database_.prepare("SELECT id, header, owner, cost, data_root, size, begun_ms, blob FROM pending WHERE data_root = "
                                 "? AND size = ? ORDER BY rowid");
    return read_pending(row.bind(data_root).bind(size));
}

Result<std::vector<ItemId>> Layer1Queries::all_pending()
{
    auto row = database_.prepare("SELECT id FROM pending ORDER BY rowid");
    std::vector<ItemId> found;
    for (;;) {
        TRY(const auto there, row.step());
        if (!there)
            return found;
        TRY(const auto id, row.id<ItemId>(0));
        found.push_back(id);
    }
}

Result<std::optional<ChunkRecord>> Layer1Queries::chunk_at(const Digest& data_root, std::uint64_t size, std::uint64_t offset)
{
    auto row = database_.prepare(
        "SELECT begin, end, path FROM chunks WHERE data_root = ? AND size = ? AND end > ? ORDER BY end LIMIT 1");
    TRY(const auto there, row.bind(data_root).bind(size).bind(offset).step());
    if (!there || row.unsigned_number(0) > offset)
        return std::optional<ChunkRecord>{};
    return std::optional(
        ChunkRecord{.begin = row.unsigned_number(0), .end = row.unsigned_number(1), .path = to_buffer(row.bytes(2))});
}

Result<std::uint64_t> Layer1Queries::chunk_bytes(const Digest& data_root, std::uint64_t size)
{
    auto row = database_.prepare("SELECT coalesce(sum(end - begin), 0) FROM chunks WHERE data_root = ? AND size = ?");
    TRY(const auto there, row.bind(data_root).bind(size).step());
    return there ? row.unsigned_number(0) : 0;
}

Result<void> Layer1Queries::put_wallet(std::string_view address, const WalletRecord& wallet)
{
    auto row = database_.prepare("INSERT INTO wallets VALUES (?, ?, ?) ON CONFLICT (address) DO UPDATE "
                                 "SET balance = excluded.balance, last_transaction = excluded.last_transaction");
    row.bind(address).bind(std::string_view(wallet.balance));
    if (wallet.last_transaction)
        row.bind(*wallet.last_transaction);
    else
        row.bind_null();
    return row.run();
}

Result<void> Layer1Queries::put_place(const PlaceRecord& place)
{
    return database_.prepare("INSERT INTO places VALUES (?, ?, ?, ?, ?)")
        .bind(place.id)
        .bind(place.data_root)
        .bind(place.size)
        .bind(place.end)
        .bind(place.height)
        .run();
}

Result<void> Layer1Queries::put_pending(const PendingRecord& pending)
{
    return database_.prepare("INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, NULL)")
        .bind(pending.id)
        .bind(Bytes(pending.header))
        .bind(std::string_view(pending.owner))
        .bind(std::string_view(pending.cost))
        .bind(pending.data_root)
        .bind(pending.size)
        .bind(pending.begun_ms)
        .run();
}

Result<void> Layer1Queries::set_pending_blob(const Digest& data_root, std::uint64_t size, const Digest& blob)
{
    return database_.prepare("UPDATE pending SET blob = ? WHERE data_root = ? AND size = ?")
        .bind(blob)
        .bind(data_root)
        .bind(size)
        .run();
}

Result<void> Layer1Queries::remove_pending(const ItemId& id)
{
    return database_.prepare("DELETE FROM pending WHERE id = ?").bind(id).run();
}

Result<void> Layer1Queries::put_chunk(const Digest& data_root, std::uint64_t size, const ChunkRecord& chunk)
{
    // Whatever has a byte in common with it would be the first to end behind its begin.
    auto next =
        database_.prepare("SELECT begin, end FROM chunks WHERE data_root = ? AND size = ? AND end > ? ORDER BY end LIMIT 1");
    TRY(const auto there, next.bind(data_root).bind(size).bind(chunk.begin).step());
    if (there && next.unsigned_number(0) == chunk.begin && next.unsigned_number(1) == chunk.end)
        return {};
    if (there && next.unsigned_number(0) < chunk.end)
        return fail(errors::conflict,
            fmt::format(
                "a chunk of bytes {} to {} overlaps one of {} to {}", chunk.begin, chunk.end, next.number(0), next.number(1)));
    return database_.prepare("INSERT INTO chunks VALUES (?, ?, ?, ?, ?)")
        .bind(data_root)
        .bind(size)
        .bind(chunk.end)
        .bind(chunk.begin)
        .bind(Bytes(chunk.path))
        .run();
}

Result<void> Layer1Queries::remove_chunks(const Digest& data_root, std::uint64_t size)
{
    return database_.prepare("DELETE FROM chunks WHERE data_root = ? AND size = ?").bind(data_root).bind(size).run();
}

Result<WalletRecord> LockedLayer1::wallet(std::string_view address)
{
    const std::lock_guard lock(mutex_);
    return queries_.wallet(address);
}

Result<std::optional<PlaceRecord>> LockedLayer1::place(const ItemId& id)
{
    const std::lock_guard lock(mutex_);
    return queries_.place(id);
}

Result<std::optional<PlaceRecord>> LockedLayer1::place_at(std::uint64_t offset)
{
    const std::lock_guard lock(mutex_);
    return queries_.place_at(offset);
}

Result<std::optional<PlaceRecord>> LockedLayer1::place_with(const Digest& data_root, std::uint64_t size)
{
    const std::lock_guard lock(mutex_);
    return queries_.place_with(data_root, size);
}

Result<std::uint64_t> LockedLayer1::weave_size(std::uint64_t height)
{
    const std::lock_guard lock(mutex_);
    return queries_.weave_size(height);
}

Result<std::optional<PendingRecord>> LockedLayer1::pending(const ItemId& id)
{
    const std::lock_guard lock(mutex_);
    return queries_.pending(id);
}

Result<std::vector<PendingRecord>> LockedLayer1::pending_for(const Digest& data_root, std::uint64_t size)
{
    const std::lock_guard lock(mutex_);
    return queries_.pending_for(data_root, size);
}

Result<std::vector<ItemId>> LockedLayer1::all_pending()
{
    const std::lock_guard lock(mutex_);
    return queries_.all_pending();
}

Result<std::optional<ChunkRecord>> LockedLayer1::chunk_at(const Digest& data_root, std::uint64_t size, std::uint64_t offset)
{
    const std::lock_guard lock(mutex_);
    return queries_.chunk_at(data_root, size, offset);
}

Result<std::uint64_t> LockedLayer1::chunk_bytes(const Digest& data_root, std::uint64_t size)
{
    const std::lock_guard lock(mutex_);
    return queries_.chunk_bytes(data_root, size);
}

}  // namespace altiplano::store::sqlite
