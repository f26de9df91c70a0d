#include "store/sqlite/database.hpp"

#include "store/errors.hpp"
#include "store/sqlite/checked.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

namespace altiplano::store::sqlite {

namespace {

std::unexpected<Error> database_error(sqlite3* handle, int code)
{
    const auto sentence = fmt::format("SQLite: {} ({})", handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code), code);
    if ((code & 0xff) == SQLITE_FULL)
        return fail(errors::disk_full, sentence, "free some space, then try again: nothing that was acknowledged is lost");
    if ((code & 0xff) == SQLITE_CONSTRAINT)
        return fail(errors::conflict, sentence);
    if (code == SQLITE_IOERR_DATA || (code & 0xff) == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        const char* const file = handle ? sqlite3_db_filename(handle, "main") : nullptr;
        return fail(errors::damaged,
            fmt::format("{} holds other bytes than were written: {}", file ? file : "the database", sentence),
            "cache.db is made anew at the next start, and computed again; records.db is to be restored from a copy");
    }
    return fail(errors::database, sentence);
}

}  // namespace

Statement::~Statement()
{
    if (statement_) {
        sqlite3_reset(statement_);
        sqlite3_clear_bindings(statement_);
    }
}

Statement& Statement::bind(Bytes bytes)
{
    // An empty span may have no address, which SQLite would take for NULL.
    const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
    sqlite3_bind_blob64(statement_, next_++, data, bytes.size(), SQLITE_TRANSIENT);
    return *this;
}
Statement& Statement::bind(std::int64_t number)
{
    sqlite3_bind_int64(statement_, next_++, number);
    return *this;
}
Statement& Statement::bind_null()
{
    sqlite3_bind_null(statement_, next_++);
    return *this;
}

Result<bool> Statement::step()
{
    if (!statement_)
        return database_error(database_, failed_);
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_DONE)
        return false;
    return database_error(database_, sqlite3_extended_errcode(database_));
}
Result<void> Statement::run()
{
    TRY(const auto row, step());
    (void)row;
    return {};
}

Bytes Statement::bytes(int column) const
{
    return {static_cast<const std::byte*>(sqlite3_column_blob(statement_, column)),
        static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
std::int64_t Statement::number(int column) const
{
    return sqlite3_column_int64(statement_, column);
}
bool Statement::is_null(int column) const
{
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Result<std::unique_ptr<Database>> Database::open(const Path& path, Durable durable)
{
    sqlite3* handle = nullptr;
    const int code =
        sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, checked_vfs());
    std::unique_ptr<Database> database(new Database(handle));
    if (code != SQLITE_OK)
        return database_error(handle, code);
    reserve_checksums(handle);
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, 10'000);
    TRY_OK(database->execute("PRAGMA journal_mode = WAL"));
    TRY_OK(database->execute(durable == Durable::full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF"));
    TRY_OK(database->execute("PRAGMA cell_size_check = ON"));
    // The index of items is written to in many places at once: a page that is written again before it is copied into the file
    // is copied once, and one that is at hand is not read again. 32 MiB of log, 16 MiB of pages.
    TRY_OK(database->execute("PRAGMA wal_autocheckpoint = 8192"));
    TRY_OK(database->execute("PRAGMA cache_size = -16384"));
    if (durable == Durable::full)
        gather_log_writes(handle);
    return database;
}

Result<std::unique_ptr<Database>> Database::open_to_read(const Path& path)
{
    // Readers of a write-ahead log share an index file with the writer, so the file is opened for writing as well.
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, checked_vfs());
    std::unique_ptr<Database> database(new Database(handle));
    if (code != SQLITE_OK)
        return database_error(handle, code);
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, 10'000);
    TRY_OK(database->execute("PRAGMA query_only = ON"));
    return database;
}

Result<void> Database::begin_again(const Path& path)
{
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, checked_vfs());
    const std::unique_ptr<Database> database(new Database(handle));
    if (code != SQLITE_OK)
        return database_error(handle, code);
    if (!reset(handle))
        return database_error(handle, sqlite3_extended_errcode(handle));
    forget_damage(path);
    return {};
}

Database::~Database()
{
    for (const auto& [sql, statement] : statements_)
        sqlite3_finalize(statement);
    sqlite3_close(handle_);
}

Result<void> Database::execute(const char* sql)
{
    if (const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK)
        return database_error(handle_, sqlite3_extended_errcode(handle_));
    return {};
}

Statement Database::prepare(const char* sql)
{
    auto& statement = statements_[sql];
    if (!statement) {
        const int code = sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
        ENSURE((code & 0xff) != SQLITE_ERROR && code != SQLITE_MISUSE, sqlite3_errmsg(handle_));
        // The file may be at fault, which says what tables there are.
        if (code != SQLITE_OK) {
            statements_.erase(sql);
            return Statement(handle_, nullptr, sqlite3_extended_errcode(handle_));
        }
    }
    return Statement(handle_, statement);
}

}  // namespace altiplano::store::sqlite
