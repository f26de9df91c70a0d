#include "store/errors.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/sqlite/writer.hpp"

#include <fmt/format.h>

namespace altiplano::store {

namespace {

using sqlite::Database;
using sqlite::Statement;

constexpr const char* schema = R"(
    CREATE TABLE IF NOT EXISTS results (process BLOB NOT NULL, nonce INTEGER NOT NULL, kind INTEGER NOT NULL, output BLOB NOT NULL, state_root BLOB NOT NULL,
        gas INTEGER NOT NULL, gas_used INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (process, nonce)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS outbox (process BLOB NOT NULL, nonce INTEGER NOT NULL, position INTEGER NOT NULL, kind INTEGER NOT NULL, json BLOB NOT NULL,
        PRIMARY KEY (process, nonce, position)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS disagreements (process BLOB NOT NULL, nonce INTEGER NOT NULL, kind INTEGER NOT NULL, output BLOB NOT NULL, state_root BLOB NOT NULL,
        gas INTEGER NOT NULL, gas_used INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS images (process BLOB NOT NULL, nonce INTEGER NOT NULL, file BLOB NOT NULL, state_root BLOB NOT NULL, PRIMARY KEY (process, nonce)) WITHOUT ROWID;
)";

Result<ResultRecord> read_result(const Statement& row)
{
    ResultRecord result;
    TRY(result.process, row.id<ProcessId>(0));
    result.nonce = row.unsigned_number(1);
    result.kind = static_cast<std::uint8_t>(row.number(2));
    result.output = row.text(3);
    TRY(result.state_root, row.id<Digest>(4));
    result.gas = row.unsigned_number(5);
    result.gas_used = row.unsigned_number(6);
    return result;
}

Result<std::optional<ResultRecord>> find_result(Database& database, const ProcessId& process, std::uint64_t nonce)
{
    auto statement = database.prepare(
        "SELECT process, nonce, kind, output, state_root, gas, gas_used FROM results WHERE process = ? AND nonce = ?");
    TRY(const auto there, statement.bind(process).bind(nonce).step());
    if (!there)
        return std::optional<ResultRecord>{};
    TRY(auto result, read_result(statement));
    return std::optional<ResultRecord>(std::move(result));
}

Statement& bind_result(Statement& statement, const ResultRecord& result)
{
    return statement.bind(result.process)
        .bind(result.nonce)
        .bind(static_cast<std::int64_t>(result.kind))
        .bind(std::string_view(result.output))
        .bind(result.state_root)
        .bind(result.gas)
        .bind(result.gas_used);
}

class SqliteCache final : public Cache {
public:
    SqliteCache(std::unique_ptr<Database> readers, std::unique_ptr<Database> writers, bool group)
        : readers_(std::move(readers))
        , writer_(std::move(writers), group)
    {
    }

    Result<void> put_result(const ResultRecord& result, const std::vector<OutboxRecord>& outbox) override
    {
        bool differs = false;
        TRY_OK(writer_.write([&](Database& database) -> Result<void> {
            TRY(const auto there, find_result(database, result.process, result.nonce));
            differs = there && *there != result;
            if (there && !differs)
                return {};
            if (differs) {
                auto keep = database.prepare("INSERT INTO disagreements VALUES (?, ?, ?, ?, ?, ?, ?)");
                return bind_result(keep, result).run();
            }
            auto insert = database.prepare("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?)");
            TRY_OK(bind_result(insert, result).run());
            for (const auto& entry : outbox)
                TRY_OK(database.prepare("INSERT INTO outbox VALUES (?, ?, ?, ?, ?)")
                        .bind(result.process)
                        .bind(result.nonce)
                        .bind(entry.index)
                        .bind(static_cast<std::int64_t>(entry.kind))
                        .bind(std::string_view(entry.json))
                        .run());
            return {};
        }));
        if (differs)
            return fail(errors::result_differs,
                fmt::format("slot {} of {} has another result already; both are kept", result.nonce, result.process.text()),
                "`altiplano verify` says which one the log gives");
        return {};
    }

    Result<std::optional<ResultRecord>> result(const ProcessId& process, std::uint64_t nonce) override
    {
        const std::lock_guard lock(reading_);
        return find_result(*readers_, process, nonce);
    }

    Result<std::vector<OutboxRecord>> outbox(const ProcessId& process, std::uint64_t nonce) override
    {
        const std::lock_guard lock(reading_);
        auto statement =
            readers_->prepare("SELECT position, kind, json FROM outbox WHERE process = ? AND nonce = ? ORDER BY position");
        statement.bind(process).bind(nonce);
        std::vector<OutboxRecord> found;
        for (;;) {
            TRY(const auto there, statement.step());
            if (!there)
                return found;
            found.push_back(
                {statement.unsigned_number(0), static_cast<OutboxRecord::Kind>(statement.number(1)), statement.text(2)});
        }
    }

    Result<std::uint64_t> results_end(const ProcessId& process) override
    {
        const std::lock_guard lock(reading_);
        // The smallest nonce without a successor; results are written in order, so there is at most one gap to find.
        auto statement = readers_->prepare("SELECT count(*), coalesce(max(nonce) + 1, 0) FROM results WHERE process = ?");
        TRY(const auto there, statement.bind(process).step());
        ENSURE(there, "an aggregate gives a row");
        if (statement.number(0) == statement.number(1))
            return statement.unsigned_number(1);
        std::uint64_t end = 0;
        for (;;) {
            TRY(const auto found, find_result(*readers_, process, end));
            if (!found)
                return end;
            ++end;
        }
    }

    Result<std::vector<ResultRecord>> disagreements(const ProcessId& process) override
    {
        const std::lock_guard lock(reading_);
        auto statement = readers_->prepare(
            "SELECT process, nonce, kind, output, state_root, gas, gas_used FROM disagreements WHERE process = ? ORDER BY nonce");
        statement.bind(process);
        std::vector<ResultRecord> found;
        for (;;) {
            TRY(const auto there, statement.step());
            if (!there)
                return found;
            TRY(auto result, read_result(statement));
            found.push_back(std::move(result));
        }
    }

    Result<void> put_image(const ImageRecord& image) override
    {
        return writer_.write([&](Database& database) {
            return database
                .prepare("INSERT INTO images VALUES (?, ?, ?, ?) ON CONFLICT (process, nonce) DO UPDATE SET file = "
                         "excluded.file, state_root = excluded.state_root")
                .bind(image.process)
                .bind(image.nonce)
                .bind(std::string_view(image.file))
                .bind(image.state_root)
                .run();
        });
    }
    Result<void> remove_image(const ImageRecord& image) override
    {
        return writer_.write([&](Database& database) {
            return database.prepare("DELETE FROM images WHERE process = ? AND nonce = ? AND file = ?")
                .bind(image.process)
                .bind(image.nonce)
                .bind(std::string_view(image.file))
                .run();
        });
    }
    Result<std::vector<ImageRecord>> images(const ProcessId& process) override
    {
        const std::lock_guard lock(reading_);
        auto statement = readers_->prepare("SELECT nonce, file, state_root FROM images WHERE process = ? ORDER BY nonce DESC");
        statement.bind(process);
        std::vector<ImageRecord> found;
        for (;;) {
            TRY(const auto there, statement.step());
            if (!there)
                return found;
            TRY(const auto root, statement.id<Digest>(2));
            found.push_back({process, statement.unsigned_number(0), statement.text(1), root});
        }
    }

private:
    std::mutex reading_;
    std::unique_ptr<Database> readers_;
    sqlite::Writer writer_;
};

/// Caches that were made before results had a GasUsed lack its column.
Result<void> add_gas_used(Database& database)
{
    constexpr std::pair<const char*, const char*> tables[] = {
        {"SELECT name FROM pragma_table_info('results') WHERE name = 'gas_used'",
            "ALTER TABLE results ADD COLUMN gas_used INTEGER NOT NULL DEFAULT 0"},
        {"SELECT name FROM pragma_table_info('disagreements') WHERE name = 'gas_used'",
            "ALTER TABLE disagreements ADD COLUMN gas_used INTEGER NOT NULL DEFAULT 0"},
    };
    for (const auto& [column, add] : tables) {
        bool there = false;
        {
            auto columns = database.prepare(column);
            TRY(there, columns.step());
        }
        if (!there)
            TRY_OK(database.execute(add));
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Cache>> open_cache(const Path& path, SqliteOptions options)
{
    TRY(auto made, sqlite::connect(path, options, schema));
    TRY_OK(add_gas_used(*made.writers));
    return std::make_unique<SqliteCache>(std::move(made.readers), std::move(made.writers), options.group);
}

}  // namespace altiplano::store
