#include "base/log.hpp"
#include "store/errors.hpp"
#include "store/sqlite/checked.hpp"
#include "store/sqlite/recent_results.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/sqlite/writer.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::store {

namespace {

using sqlite::Database;
using sqlite::Statement;

constexpr const char* schema = R"(
    CREATE TABLE IF NOT EXISTS results (process BLOB NOT NULL, nonce INTEGER NOT NULL, kind INTEGER NOT NULL, output BLOB NOT NULL, state_root BLOB NOT NULL,
        gas INTEGER NOT NULL, cron INTEGER NOT NULL, time_ms INTEGER NOT NULL, cron_name BLOB NOT NULL, gas_used INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (process, nonce, cron)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS outbox (process BLOB NOT NULL, nonce INTEGER NOT NULL, position INTEGER NOT NULL, kind INTEGER NOT NULL, json BLOB NOT NULL,
        cron INTEGER NOT NULL, PRIMARY KEY (process, nonce, cron, position)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS disagreements (process BLOB NOT NULL, nonce INTEGER NOT NULL, kind INTEGER NOT NULL, output BLOB NOT NULL, state_root BLOB NOT NULL,
        gas INTEGER NOT NULL, cron INTEGER NOT NULL, time_ms INTEGER NOT NULL, cron_name BLOB NOT NULL, gas_used INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS images (process BLOB NOT NULL, nonce INTEGER NOT NULL, file BLOB NOT NULL, state_root BLOB NOT NULL, cron INTEGER NOT NULL,
        PRIMARY KEY (process, nonce, cron)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS trusted (process BLOB NOT NULL PRIMARY KEY, nonce INTEGER NOT NULL, state_root BLOB NOT NULL, item BLOB NOT NULL,
        signer BLOB NOT NULL, verified INTEGER NOT NULL) WITHOUT ROWID;
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
    result.cron = row.unsigned_number(6);
    result.time_ms = row.number(7);
    result.cron_name = row.text(8);
    result.gas_used = row.unsigned_number(9);
    return result;
}

Result<std::vector<ResultRecord>> read_results(Statement& rows)
{
    std::vector<ResultRecord> found;
    for (;;) {
        TRY(const auto there, rows.step());
        if (!there)
            return found;
        TRY(auto result, read_result(rows));
        found.push_back(std::move(result));
    }
}

Result<std::optional<ResultRecord>> find_result(
    Database& database, const ProcessId& process, std::uint64_t nonce, std::uint64_t cron)
{
    auto statement =
        database.prepare("SELECT process, nonce, kind, output, state_root, gas, cron, time_ms, cron_name, gas_used FROM results "
                         "WHERE process = ? AND nonce = ? AND cron = ?");
    TRY(const auto there, statement.bind(process).bind(nonce).bind(cron).step());
    if (!there)
        return std::optional<ResultRecord>{};
    TRY(auto result, read_result(statement));
    return std::optional<ResultRecord>(std::move(result));
}

Result<std::optional<TrustedRecord>> find_trusted(Database& database, const ProcessId& process)
{
    auto statement = database.prepare("SELECT nonce, state_root, item, signer, verified FROM trusted WHERE process = ?");
    TRY(const auto there, statement.bind(process).step());
    if (!there)
        return std::optional<TrustedRecord>{};
    TRY(const auto root, statement.id<Digest>(1));
    TRY(const auto item, statement.id<ItemId>(2));
    return std::optional(
        TrustedRecord{process, statement.unsigned_number(0), root, item, statement.text(3), statement.number(4) != 0});
}

Statement& bind_result(Statement& statement, const ResultRecord& result)
{
    return statement.bind(result.process)
        .bind(result.nonce)
        .bind(static_cast<std::int64_t>(result.kind))
        .bind(std::string_view(result.output))
        .bind(result.state_root)
        .bind(result.gas)
        .bind(result.cron)
        .bind(result.time_ms)
        .bind(std::string_view(result.cron_name))
        .bind(result.gas_used);
}

enum class Put {
    added,
    same,  ///< it was there
    differs,  ///< another result is there: that stays, and this one is kept beside it
};
Result<Put> put(Database& database, const Evaluation& evaluation)
{
    const auto& [result, outbox] = evaluation;
    TRY(const auto there, find_result(database, result.process, result.nonce, result.cron));
    if (there && *there == result)
        return Put::same;
    if (there) {
        auto keep = database.prepare("INSERT INTO disagreements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        TRY_OK(bind_result(keep, result).run());
        return Put::differs;
    }
    auto insert = database.prepare("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    TRY_OK(bind_result(insert, result).run());
    for (const auto& entry : outbox)
        TRY_OK(database.prepare("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)")
                .bind(result.process)
                .bind(result.nonce)
                .bind(entry.index)
                .bind(static_cast<std::int64_t>(entry.kind))
                .bind(std::string_view(entry.json))
                .bind(result.cron)
                .run());
    return Put::added;
}

// In the header of the file, which is in its first page.
constexpr std::int64_t damaged_mark = 1'684'104'557;
Result<void> mark(Database& database)
{
    static const auto sql = fmt::format("PRAGMA user_version = {}", damaged_mark);
    return database.execute(sql.c_str());
}
Result<bool> is_marked(Database& database)
{
    auto version = database.prepare("PRAGMA user_version");
    TRY(const auto there, version.step());
    return there && version.number(0) == damaged_mark;
}

class SqliteCache final : public Cache {
public:
    SqliteCache(
        std::unique_ptr<Database> readers, std::unique_ptr<Database> writers, const SqliteOptions& options, const Path& path)
        : path_(path)
        , others_write_(options.to_read)
        , readers_(std::move(readers))
        , writer_(std::move(writers), options.group)
    {
    }
    ~SqliteCache() override
    {
        // The next start begins anew; if this cannot be written, that one finds the damage too.
        if (sqlite::found_damaged(path_))
            (void)writer_.write([](Database& database) { return mark(database); }).has_value();
    }
    SqliteCache(const SqliteCache&) = delete;
    SqliteCache& operator=(const SqliteCache&) = delete;

    Result<std::vector<Result<void>>> put_results(std::span<const Evaluation* const> evaluations) override
    {
        std::vector<Result<void>> outcomes(evaluations.size());
        std::vector<const Evaluation*> added;
        TRY_OK(writer_.write([&](Database& database) -> Result<void> {
            for (std::size_t i = 0; i < evaluations.size(); ++i) {
                TRY(const auto what, put(database, *evaluations[i]));
                if (what == Put::added)
                    added.push_back(evaluations[i]);
                if (what == Put::differs)
                    outcomes[i] = fail(errors::result_differs,
                        fmt::format("slot {} of {} has another result already; both are kept", evaluations[i]->result.nonce,
                            evaluations[i]->result.process.text()),
                        "`altiplano verify` says which one the log gives");
            }
            return {};
        }));
        for (const auto* one : added)
            recent_.add(*one);
        return outcomes;
    }

    Result<std::optional<ResultRecord>> result(const ProcessId& process, std::uint64_t nonce, std::uint64_t cron) override
    {
        if (const auto kept = recent_.find(process, nonce, cron))
            return kept->result;
        if (!others_write_) {
            TRY(const auto end, recent_.end(process, [&] { return last_place(process); }));
            if (!end || *end < sqlite::RecentResults::Place{nonce, cron})
                return std::optional<ResultRecord>{};
        }
        const std::lock_guard lock(reading_);
        return find_result(*readers_, process, nonce, cron);
    }

    Result<std::vector<ResultRecord>> results(const ResultQuery& query) override
    {
        const std::lock_guard lock(reading_);
        // Two literals: a statement is known by the address of its text.
        auto statement = readers_->prepare(query.descending
                ? "SELECT process, nonce, kind, output, state_root, gas, cron, time_ms, cron_name, gas_used FROM results "
                  "WHERE process = ? AND (nonce, cron) >= (?, ?) AND (nonce, cron) <= (?, ?) AND time_ms > ? AND time_ms <= ? "
                  "AND cron >= ? AND kind <= ? ORDER BY nonce DESC, cron DESC LIMIT ?"
                : "SELECT process, nonce, kind, output, state_root, gas, cron, time_ms, cron_name, gas_used FROM results "
                  "WHERE process = ? AND (nonce, cron) >= (?, ?) AND (nonce, cron) <= (?, ?) AND time_ms > ? AND time_ms <= ? "
                  "AND cron >= ? AND kind <= ? ORDER BY nonce, cron LIMIT ?");
        const auto in_range = [](std::uint64_t number) { return std::min(number, std::uint64_t{INT64_MAX}); };
        statement.bind(query.process)
            .bind(in_range(query.first.first))
            .bind(in_range(query.first.second))
            .bind(in_range(query.last.first))
            .bind(in_range(query.last.second))
            .bind(query.after_ms)
            .bind(query.until_ms)
            .bind(std::int64_t{query.cron_only ? 1 : 0})
            .bind(std::int64_t{query.plain_only ? 0 : UINT8_MAX})
            .bind(in_range(query.limit));
        return read_results(statement);
    }

    Result<std::vector<OutboxRecord>> outbox(const ProcessId& process, std::uint64_t nonce, std::uint64_t cron) override
    {
        if (const auto kept = recent_.find(process, nonce, cron))
            return kept->outbox;
        const std::lock_guard lock(reading_);
        auto statement = readers_->prepare(
            "SELECT position, kind, json FROM outbox WHERE process = ? AND nonce = ? AND cron = ? ORDER BY position");
        statement.bind(process).bind(nonce).bind(cron);
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
        TRY(const auto taken, find_trusted(*readers_, process));
        auto end = taken ? taken->nonce + 1 : 0;
        // The smallest nonce without a successor; results are written in order, so there is at most one gap to find.
        auto statement = readers_->prepare(
            "SELECT count(*), coalesce(max(nonce) + 1, 0) FROM results WHERE process = ? AND cron = 0 AND nonce >= ?");
        TRY(const auto there, statement.bind(process).bind(end).step());
        ENSURE(there, "an aggregate gives a row");
        if (statement.number(0) == 0 || end + statement.unsigned_number(0) == statement.unsigned_number(1))
            return end + statement.unsigned_number(0);
        for (;;) {
            TRY(const auto found, find_result(*readers_, process, end, 0));
            if (!found)
                return end;
            ++end;
        }
    }

    Result<std::vector<ResultRecord>> disagreements(const ProcessId& process) override
    {
        const std::lock_guard lock(reading_);
        auto statement = readers_->prepare("SELECT process, nonce, kind, output, state_root, gas, cron, time_ms, cron_name, "
                                           "gas_used FROM disagreements WHERE process = ? "
                                           "ORDER BY nonce, cron");
        statement.bind(process);
        return read_results(statement);
    }

    Result<void> change_images(std::span<const ImageChange> changes) override
    {
        return writer_.write([&](Database& database) -> Result<void> {
            for (const auto& [image, removed] : changes) {
                auto statement = database.prepare(removed
                        ? "DELETE FROM images WHERE process = ? AND nonce = ? AND file = ? AND cron = ?"
                        : "INSERT INTO images (process, nonce, file, cron, state_root) VALUES (?, ?, ?, ?, ?) ON CONFLICT "
                          "(process, nonce, cron) DO UPDATE SET file = excluded.file, state_root = excluded.state_root");
                statement.bind(image.process).bind(image.nonce).bind(std::string_view(image.file)).bind(image.cron);
                if (!removed)
                    statement.bind(image.state_root);
                TRY_OK(statement.run());
            }
            return {};
        });
    }
    Result<std::vector<ImageRecord>> images(const ProcessId& process) override
    {
        const std::lock_guard lock(reading_);
        auto statement = readers_->prepare(
            "SELECT nonce, file, state_root, cron FROM images WHERE process = ? ORDER BY nonce DESC, cron DESC");
        statement.bind(process);
        std::vector<ImageRecord> found;
        for (;;) {
            TRY(const auto there, statement.step());
            if (!there)
                return found;
            TRY(const auto root, statement.id<Digest>(2));
            found.push_back({process, statement.unsigned_number(0), statement.text(1), root, statement.unsigned_number(3)});
        }
    }

    Result<std::optional<TrustedRecord>> trusted(const ProcessId& process) override
    {
        const std::lock_guard lock(reading_);
        if (const auto known = trusted_.find(process); known != trusted_.end())
            return known->second;
        TRY(auto found, find_trusted(*readers_, process));
        if (others_write_)
            return found;
        constexpr std::size_t trusted_max = 10'000;
        if (trusted_.size() >= trusted_max)
            trusted_.clear();
        trusted_.emplace(process, found);
        return found;
    }
    Result<void> put_trusted(const TrustedRecord& trusted) override
    {
        const auto written = writer_.write([&](Database& database) {
            return database.prepare("INSERT OR REPLACE INTO trusted VALUES (?, ?, ?, ?, ?, ?)")
                .bind(trusted.process)
                .bind(trusted.nonce)
                .bind(trusted.state_root)
                .bind(trusted.item)
                .bind(std::string_view(trusted.signer))
                .bind(std::int64_t{trusted.verified ? 1 : 0})
                .run();
        });
        // Whoever read before it was written has put that down by now.
        const std::lock_guard lock(reading_);
        trusted_.erase(trusted.process);
        return written;
    }

private:
    Result<std::optional<sqlite::RecentResults::Place>> last_place(const ProcessId& process)
    {
        const std::lock_guard lock(reading_);
        auto statement =
            readers_->prepare("SELECT nonce, cron FROM results WHERE process = ? ORDER BY nonce DESC, cron DESC LIMIT 1");
        TRY(const auto there, statement.bind(process).step());
        if (!there)
            return std::optional<sqlite::RecentResults::Place>{};
        return std::optional(sqlite::RecentResults::Place{statement.unsigned_number(0), statement.unsigned_number(1)});
    }

    Path path_;
    bool others_write_;  ///< so nothing is remembered of what there is not
    std::mutex reading_;
    std::map<ProcessId, std::optional<TrustedRecord>> trusted_;  ///< of processes that were asked about
    sqlite::RecentResults recent_;
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
    const auto connect = [&]() -> Result<sqlite::Connections> {
        TRY(auto made, sqlite::connect(path, options, schema));
        if (options.to_read)
            return made;
        TRY_OK(add_gas_used(*made.writers));
        TRY(const auto found_damaged, is_marked(*made.writers));
        if (found_damaged)
            return fail(errors::damaged, "an earlier run found it damaged");
        return made;
    };
    auto made = connect();
    // What is in it follows from the log, so it need not be mended.
    if (!made && made.error().code == errors::damaged && !options.to_read) {
        log::warning("{} is made anew, and its results are computed again: {}", path.string(), made.error().sentence);
        TRY_OK(Database::begin_again(path));
        made = connect();
    }
    if (!made)
        return std::unexpected(made.error());
    return std::make_unique<SqliteCache>(std::move(made->readers), std::move(made->writers), options, path);
}

}  // namespace altiplano::store
