#include "store/errors.hpp"
#include "store/sqlite/layer1.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/search.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/sqlite/writer.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::store {

namespace {

using sqlite::Database;
using sqlite::one;
using sqlite::read_block;
using sqlite::read_delivery;
using sqlite::read_item;
using sqlite::read_log;
using sqlite::Statement;

constexpr std::int64_t format = 2;

// Ids and digests are 32 raw bytes, texts and wires are blobs. The headers and small data of items lie in the rows, which
// are numbered as the items came.
constexpr const char* schema = R"(
    CREATE TABLE IF NOT EXISTS meta (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS items (id BLOB NOT NULL UNIQUE, header BLOB NOT NULL, data BLOB NOT NULL, blob BLOB, data_size INTEGER NOT NULL,
        height INTEGER NOT NULL, owner BLOB NOT NULL, bundle BLOB);
    CREATE TABLE IF NOT EXISTS blocks (height INTEGER PRIMARY KEY, hash BLOB NOT NULL, previous BLOB NOT NULL, timestamp_ms INTEGER NOT NULL, items BLOB NOT NULL);
    CREATE INDEX IF NOT EXISTS blocks_by_hash ON blocks (hash);
    CREATE TABLE IF NOT EXISTS processes (id BLOB PRIMARY KEY, module BLOB NOT NULL, owner BLOB NOT NULL, scheduler BLOB NOT NULL,
        closed_ms INTEGER NOT NULL, closed_height INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS log (process BLOB NOT NULL, nonce INTEGER NOT NULL, message BLOB NOT NULL, assignment BLOB NOT NULL,
        PRIMARY KEY (process, nonce), UNIQUE (process, message)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS deliveries (process BLOB NOT NULL, nonce INTEGER NOT NULL, position INTEGER NOT NULL, item BLOB NOT NULL, state INTEGER NOT NULL,
        attempts INTEGER NOT NULL, next_attempt_ms INTEGER NOT NULL, last_error BLOB NOT NULL, cron INTEGER NOT NULL, id BLOB NOT NULL,
        hops INTEGER NOT NULL, PRIMARY KEY (process, nonce, cron, position)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS deliveries_open ON deliveries (process, nonce, cron, position) WHERE state = 0;
    CREATE INDEX IF NOT EXISTS deliveries_id ON deliveries (id);
    CREATE TABLE IF NOT EXISTS seen (process BLOB NOT NULL, hash BLOB NOT NULL, message BLOB NOT NULL, PRIMARY KEY (process, hash)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS deliveries_dead ON deliveries (process, nonce, cron, position) WHERE state = 2;
)";

/// Format 1 kept tags in a table and knew no bundles. The index in its place is made by whoever knows what items mean.
Result<void> from_format_1(Database& database)
{
    return database.execute("BEGIN; DROP TABLE tags; ALTER TABLE items ADD COLUMN bundle BLOB; "
                            "UPDATE meta SET value = x'32' WHERE key = x'666f726d6174'; COMMIT");
}

/// The queries, on whichever connection; inside a transaction they see its own writes.
class Queries final : public RecordsWriter {
public:
    explicit Queries(Database& database)
        : database_(database)
        , layer1_(database)
    {
    }

    Layer1Writer& layer1() override { return layer1_; }

    Result<std::optional<std::string>> meta(std::string_view key) override
    {
        auto statement = database_.prepare("SELECT value FROM meta WHERE key = ?");
        return one<std::string>(statement.bind(key), [](const Statement& row) -> Result<std::string> { return row.text(0); });
    }

    Result<std::optional<ItemRecord>> item(const ItemId& id) override
    {
        auto statement =
            database_.prepare("SELECT id, header, data, blob, data_size, height, owner, bundle FROM items WHERE id = ?");
        return one<ItemRecord>(statement.bind(id), read_item);
    }
    Result<std::optional<ItemRecord>> item_without_data(const ItemId& id) override
    {
        auto statement =
            database_.prepare("SELECT id, header, x'', blob, data_size, height, owner, bundle FROM items WHERE id = ?");
        return one<ItemRecord>(statement.bind(id), read_item);
    }

    Result<Found> find(const Find& find, Work& work) override { return sqlite::search(database_, find, work); }
    Result<std::uint64_t> count(const Find& find, Work& work) override { return sqlite::count(database_, find, work); }

    Result<std::optional<BlockRecord>> block(std::uint64_t height) override
    {
        auto statement = database_.prepare("SELECT height, hash, previous, timestamp_ms, items FROM blocks WHERE height = ?");
        return one<BlockRecord>(statement.bind(height), read_block);
    }
    Result<std::vector<BlockRecord>> block_heads(const std::vector<std::uint64_t>& heights) override
    {
        std::vector<BlockRecord> found;
        for (const auto height : heights) {
            auto statement = database_.prepare("SELECT height, hash, previous, timestamp_ms, x'' FROM blocks WHERE height = ?");
            TRY(auto block, one<BlockRecord>(statement.bind(height), read_block));
            if (block)
                found.push_back(*std::move(block));
        }
        return found;
    }
    Result<std::optional<BlockRecord>> block_by_hash(const BlockHash& hash) override
    {
        auto statement = database_.prepare("SELECT height, hash, previous, timestamp_ms, items FROM blocks WHERE hash = ?");
        return one<BlockRecord>(statement.bind(hash), read_block);
    }
    Result<std::optional<BlockRecord>> tip() override
    {
        auto statement =
            database_.prepare("SELECT height, hash, previous, timestamp_ms, items FROM blocks ORDER BY height DESC LIMIT 1");
        return one<BlockRecord>(statement, read_block);
    }

    Result<std::optional<ProcessRecord>> process(const ProcessId& id) override
    {
        auto statement = database_.prepare("SELECT id, module, owner, scheduler, (SELECT coalesce(max(nonce) + 1, 0) FROM log "
                                           "WHERE process = id), closed_ms, closed_height FROM processes WHERE id = ?");
        return one<ProcessRecord>(statement.bind(id), [](const Statement& row) -> Result<ProcessRecord> {
            ProcessRecord process;
            TRY(process.id, row.id<ProcessId>(0));
            TRY(process.module, row.id<ModuleId>(1));
            process.owner = row.text(2);
            process.scheduler = row.text(3);
            process.slots = row.unsigned_number(4);
            process.closed_ms = row.number(5);
            process.closed_height = row.unsigned_number(6);
            return process;
        });
    }
    Result<std::vector<ProcessId>> processes() override
    {
        auto statement = database_.prepare("SELECT id FROM processes ORDER BY id");
        std::vector<ProcessId> found;
        for (;;) {
            TRY(const auto there, statement.step());
            if (!there)
                return found;
            TRY(const auto id, statement.id<ProcessId>(0));
            found.push_back(id);
        }
    }

    Result<std::optional<LogRecord>> log(const ProcessId& process, std::uint64_t nonce) override
    {
        auto statement = database_.prepare("SELECT process, nonce, message, assignment FROM log WHERE process = ? AND nonce = ?");
        return one<LogRecord>(statement.bind(process).bind(nonce), read_log);
    }
    Result<std::optional<LogRecord>> log_of(const ProcessId& process, const ItemId& message) override
    {
        auto statement =
            database_.prepare("SELECT process, nonce, message, assignment FROM log WHERE process = ? AND message = ?");
        return one<LogRecord>(statement.bind(process).bind(message), read_log);
    }

    Result<std::optional<DeliveryRecord>> delivery(
        const ProcessId& process, std::uint64_t nonce, std::uint64_t index, std::uint64_t cron) override
    {
        auto statement = database_.prepare(
            "SELECT process, nonce, position, item, state, attempts, next_attempt_ms, last_error, cron, id, hops FROM deliveries "
            "WHERE process = ? AND nonce = ? AND cron = ? AND position = ?");
        return one<DeliveryRecord>(statement.bind(process).bind(nonce).bind(cron).bind(index), read_delivery);
    }
    Result<std::vector<DeliveryRecord>> open_deliveries() override
    {
        auto statement = database_.prepare(
            "SELECT process, nonce, position, item, state, attempts, next_attempt_ms, last_error, cron, id, hops FROM deliveries "
            "WHERE state = 0 ORDER BY process, nonce, cron, position");
        return all_deliveries(statement);
    }
    Result<std::vector<DeliveryRecord>> open_deliveries(const ProcessId& process) override
    {
        auto statement = database_.prepare(
            "SELECT process, nonce, position, item, state, attempts, next_attempt_ms, last_error, cron, id, hops FROM deliveries "
            "WHERE state = 0 AND process = ? ORDER BY process, nonce, cron, position");
        statement.bind(process);
        return all_deliveries(statement);
    }
    Result<std::vector<DeliveryRecord>> deliveries(const DeliveryQuery& query) override
    {
        // Where a literal stands for the state, its partial index is used.
        const bool dead = query.state == DeliveryRecord::State::dead;
        auto statement = database_.prepare(query.process
                ? "SELECT process, nonce, position, item, state, attempts, next_attempt_ms, last_error, cron, id, hops FROM "
                  "deliveries WHERE process = ? AND state >= ? AND state <= ? ORDER BY process, nonce, cron, position LIMIT ? "
                  "OFFSET ?"
                : dead
                ? "SELECT process, nonce, position, item, state, attempts, next_attempt_ms, last_error, cron, id, hops FROM "
                  "deliveries WHERE state = 2 AND state >= ? AND state <= ? ORDER BY process, nonce, cron, position LIMIT ? "
                  "OFFSET ?"
                : "SELECT process, nonce, position, item, state, attempts, next_attempt_ms, last_error, cron, id, hops FROM "
                  "deliveries WHERE state >= ? AND state <= ? ORDER BY process, nonce, cron, position LIMIT ? OFFSET ?");
        if (query.process)
            statement.bind(*query.process);
        statement.bind(static_cast<std::int64_t>(query.state.value_or(DeliveryRecord::State::signed_)))
            .bind(static_cast<std::int64_t>(query.state.value_or(DeliveryRecord::State::dead)))
            .bind(std::min(query.limit, std::uint64_t{INT64_MAX}))
            .bind(std::min(query.skip, std::uint64_t{INT64_MAX}));
        return all_deliveries(statement);
    }
    Result<std::optional<DeliveryRecord>> delivery_of(const ItemId& id) override
    {
        auto statement = database_.prepare(
            "SELECT process, nonce, position, item, state, attempts, next_attempt_ms, last_error, cron, id, hops FROM deliveries "
            "WHERE id = ? LIMIT 1");
        return one<DeliveryRecord>(statement.bind(id), read_delivery);
    }
    Result<std::optional<ItemId>> seen(const ProcessId& process, const Digest& hash) override
    {
        auto statement = database_.prepare("SELECT message FROM seen WHERE process = ? AND hash = ?");
        return one<ItemId>(
            statement.bind(process).bind(hash), [](const Statement& row) -> Result<ItemId> { return row.id<ItemId>(0); });
    }
    Result<void> put_seen(const ProcessId& process, const Digest& hash, const ItemId& message) override
    {
        return database_.prepare("INSERT INTO seen VALUES (?, ?, ?)").bind(process).bind(hash).bind(message).run();
    }
    Result<std::vector<std::pair<std::string, std::string>>> metas(std::string_view beginning) override
    {
        auto statement = database_.prepare("SELECT key, value FROM meta WHERE key >= ? ORDER BY key");
        statement.bind(beginning);
        std::vector<std::pair<std::string, std::string>> found;
        for (;;) {
            TRY(const auto there, statement.step());
            if (!there || !statement.text(0).starts_with(beginning))
                return found;
            found.emplace_back(statement.text(0), statement.text(1));
        }
    }

    Result<void> put_meta(std::string_view key, std::string_view value) override
    {
        return database_.prepare("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(key)
            .bind(value)
            .run();
    }

    Result<void> remove_meta(std::string_view key) override
    {
        return database_.prepare("DELETE FROM meta WHERE key = ?").bind(key).run();
    }

    Result<void> put_item(const ItemRecord& item) override
    {
        // The order of the rows is the order of the heights: searches and their cursors rest on it.
        auto last = database_.prepare("SELECT height FROM items ORDER BY rowid DESC LIMIT 1");
        TRY(const auto any, last.step());
        if (any && last.unsigned_number(0) > item.height)
            return fail(errors::conflict,
                fmt::format("item {} is of height {}, but one of height {} is there already", item.id.text(), item.height,
                    last.unsigned_number(0)));
        auto insert = database_.prepare("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING rowid");
        insert.bind(item.id).bind(Bytes(item.header)).bind(Bytes(item.data));
        if (item.blob)
            insert.bind(*item.blob);
        else
            insert.bind_null();
        insert.bind(item.data_size).bind(item.height).bind(std::string_view(item.owner));
        if (item.bundle)
            insert.bind(*item.bundle);
        else
            insert.bind_null();
        TRY(const auto there, insert.step());
        ENSURE(there, "RETURNING gives a row");
        const auto row = insert.number(0);
        TRY_OK(insert.run());
        return sqlite::add_postings(database_, row, item.terms);
    }

    Result<void> forget_index() override { return database_.execute("DELETE FROM postings"); }
    Result<std::optional<std::uint64_t>> index_items(std::uint64_t after, std::size_t items_max, const Terms& terms) override
    {
        auto statement = database_.prepare("SELECT id, header, x'', blob, data_size, height, owner, bundle, rowid FROM items "
                                           "WHERE rowid > ? ORDER BY rowid LIMIT ?");
        statement.bind(after).bind(static_cast<std::uint64_t>(items_max));
        std::optional<std::uint64_t> last;
        for (;;) {
            TRY(const auto there, statement.step());
            if (!there)
                return last;
            TRY(const auto item, read_item(statement));
            last = statement.unsigned_number(8);
            TRY(const auto made, terms(item));
            TRY_OK(sqlite::add_postings(database_, statement.number(8), made));
        }
    }

    Result<void> put_block(const BlockRecord& block) override
    {
        TRY(const auto last, tip());
        if (last ? block.height != last->height + 1 || block.previous != last->hash : block.height != 0)
            return fail(errors::conflict,
                fmt::format("block {} does not follow the tip, which is block {}", block.height,
                    last ? std::to_string(last->height) : "none"));
        Buffer ids;
        for (const auto& id : block.items)
            append(ids, id.bytes());
        return database_.prepare("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)")
            .bind(block.height)
            .bind(block.hash)
            .bind(block.previous)
            .bind(block.timestamp_ms)
            .bind(Bytes(ids))
            .run();
    }

    Result<void> put_process(const ProcessRecord& process) override
    {
        return database_.prepare("INSERT INTO processes VALUES (?, ?, ?, ?, ?, ?)")
            .bind(process.id)
            .bind(process.module)
            .bind(std::string_view(process.owner))
            .bind(std::string_view(process.scheduler))
            .bind(process.closed_ms)
            .bind(process.closed_height)
            .run();
    }

    Result<void> close_process(const ProcessId& id, std::int64_t closed_ms, std::uint64_t closed_height) override
    {
        return database_.prepare("UPDATE processes SET closed_ms = ?, closed_height = ? WHERE id = ?")
            .bind(closed_ms)
            .bind(closed_height)
            .bind(id)
            .run();
    }

    Result<void> append_log(const LogRecord& entry) override
    {
        auto length = database_.prepare("SELECT coalesce(max(nonce) + 1, 0) FROM log WHERE process = ?");
        TRY(const auto there, length.bind(entry.process).step());
        if (!there || length.unsigned_number(0) != entry.nonce)
            return fail(errors::conflict,
                fmt::format("slot {} of {} cannot be appended: its log has {} entries", entry.nonce, entry.process.text(),
                    length.number(0)));
        return database_.prepare("INSERT INTO log VALUES (?, ?, ?, ?)")
            .bind(entry.process)
            .bind(entry.nonce)
            .bind(entry.message)
            .bind(entry.assignment)
            .run();
    }

    Result<void> put_delivery(const DeliveryRecord& delivery) override
    {
        return database_
            .prepare(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (process, nonce, cron, position) DO "
                "UPDATE "
                "SET item = excluded.item, state = excluded.state, "
                "attempts = excluded.attempts, next_attempt_ms = excluded.next_attempt_ms, last_error = excluded.last_error, id "
                "= excluded.id, hops = excluded.hops")
            .bind(delivery.process)
            .bind(delivery.nonce)
            .bind(delivery.index)
            .bind(Bytes(delivery.item))
            .bind(static_cast<std::int64_t>(delivery.state))
            .bind(delivery.attempts)
            .bind(delivery.next_attempt_ms)
            .bind(std::string_view(delivery.last_error))
            .bind(delivery.cron)
            .bind(delivery.id)
            .bind(delivery.hops)
            .run();
    }

private:
    static Result<std::vector<DeliveryRecord>> all_deliveries(Statement& statement)
    {
        std::vector<DeliveryRecord> found;
        for (;;) {
            TRY(const auto there, statement.step());
            if (!there)
                return found;
            TRY(auto delivery, read_delivery(statement));
            found.push_back(std::move(delivery));
        }
    }

    Database& database_;
    sqlite::Layer1Queries layer1_;
};

class SqliteRecords final : public Records {
    // They stand first: what follows needs their types.
    template <class Query> auto read(const Query& query)
    {
        const std::lock_guard lock(reading_);
        Queries queries(*readers_);
        return query(queries);
    }
    /// Many reads may take long, so they have a connection of their own; all of them see one state of the records.
    template <class Reads> auto in_one_state(const Reads& reads) -> decltype(reads())
    {
        const std::lock_guard lock(finding_);
        TRY_OK(finders_->execute("BEGIN"));
        auto found = reads();
        TRY_OK(finders_->execute("COMMIT"));
        return found;
    }

public:
    SqliteRecords(
        std::unique_ptr<Database> readers, std::unique_ptr<Database> finders, std::unique_ptr<Database> writers, bool group)
        : readers_(std::move(readers))
        , finders_(std::move(finders))
        , writer_(std::move(writers), group)
    {
    }

    Result<std::optional<std::string>> meta(std::string_view key) override
    {
        return read([&](Queries& q) { return q.meta(key); });
    }
    Layer1Reader& layer1() override { return layer1_; }
    Result<std::optional<ItemRecord>> item(const ItemId& id) override
    {
        return read([&](Queries& q) { return q.item(id); });
    }
    Result<std::optional<ItemRecord>> item_without_data(const ItemId& id) override
    {
        return read([&](Queries& q) { return q.item_without_data(id); });
    }
    Result<Found> find(const Find& find, Work& work) override { return search<Found>(sqlite::search, find, work); }
    Result<std::uint64_t> count(const Find& find, Work& work) override
    {
        return search<std::uint64_t>(sqlite::count, find, work);
    }
    Result<std::optional<BlockRecord>> block(std::uint64_t height) override
    {
        return read([&](Queries& q) { return q.block(height); });
    }
    Result<std::vector<BlockRecord>> block_heads(const std::vector<std::uint64_t>& heights) override
    {
        return in_one_state([&] { return Queries(*finders_).block_heads(heights); });
    }
    Result<std::optional<BlockRecord>> block_by_hash(const BlockHash& hash) override
    {
        return read([&](Queries& q) { return q.block_by_hash(hash); });
    }
    Result<std::optional<BlockRecord>> tip() override
    {
        return read([&](Queries& q) { return q.tip(); });
    }
    Result<std::optional<ProcessRecord>> process(const ProcessId& id) override
    {
        return read([&](Queries& q) { return q.process(id); });
    }
    Result<std::vector<ProcessId>> processes() override
    {
        return read([&](Queries& q) { return q.processes(); });
    }
    Result<std::optional<LogRecord>> log(const ProcessId& process, std::uint64_t nonce) override
    {
        return read([&](Queries& q) { return q.log(process, nonce); });
    }
    Result<std::optional<LogRecord>> log_of(const ProcessId& process, const ItemId& message) override
    {
        return read([&](Queries& q) { return q.log_of(process, message); });
    }
    Result<std::optional<DeliveryRecord>> delivery(
        const ProcessId& process, std::uint64_t nonce, std::uint64_t index, std::uint64_t cron) override
    {
        return read([&](Queries& q) { return q.delivery(process, nonce, index, cron); });
    }
    Result<std::vector<DeliveryRecord>> open_deliveries(const ProcessId& process) override
    {
        return read([&](Queries& q) { return q.open_deliveries(process); });
    }
    Result<std::vector<DeliveryRecord>> deliveries(const DeliveryQuery& query) override
    {
        return read([&](Queries& q) { return q.deliveries(query); });
    }
    Result<std::optional<DeliveryRecord>> delivery_of(const ItemId& id) override
    {
        return read([&](Queries& q) { return q.delivery_of(id); });
    }
    Result<std::optional<ItemId>> seen(const ProcessId& process, const Digest& hash) override
    {
        return read([&](Queries& q) { return q.seen(process, hash); });
    }
    Result<std::vector<std::pair<std::string, std::string>>> metas(std::string_view beginning) override
    {
        return read([&](Queries& q) { return q.metas(beginning); });
    }
    Result<std::vector<DeliveryRecord>> open_deliveries() override
    {
        return read([&](Queries& q) { return q.open_deliveries(); });
    }

    Result<void> write(Transaction transaction) override
    {
        return writer_.write([&](Database& database) {
            Queries queries(database);
            return transaction(queries);
        });
    }

private:
    template <class T> Result<T> search(Result<T> (*run)(Database&, const Find&, Work&), const Find& find, Work& work)
    {
        return in_one_state([&] { return run(*finders_, find, work); });
    }

    std::mutex reading_;
    std::unique_ptr<Database> readers_;
    std::mutex finding_;
    std::unique_ptr<Database> finders_;
    sqlite::Writer writer_;
    sqlite::LockedLayer1 layer1_{reading_, *readers_};
};

}  // namespace

Result<std::unique_ptr<Records>> open_records(const Path& path, SqliteOptions options)
{
    TRY(auto made, sqlite::connect(path, options, schema));
    Queries queries(*made.writers);
    TRY(const auto found, queries.meta("format"));
    if (found == "1" && !options.to_read) {
        TRY_OK(from_format_1(*made.writers));
    } else if (found && *found != std::to_string(format)) {
        return fail(errors::newer_format, fmt::format("{} has format {}; this program reads {}", path.string(), *found, format),
            *found == "1" ? "start the node on it once: it brings it up to date"
                          : "use the program that wrote it, or a newer one");
    } else if (!found && !options.to_read) {
        TRY_OK(queries.put_meta("format", std::to_string(format)));
    }
    if (!options.to_read) {
        TRY_OK(made.writers->execute(sqlite::index_schema));
        TRY_OK(made.writers->execute(sqlite::layer1_schema));
    }
    TRY(auto finders, sqlite::connect_one_more(path, options));
    return std::make_unique<SqliteRecords>(std::move(made.readers), std::move(finders), std::move(made.writers), options.group);
}

}  // namespace altiplano::store
