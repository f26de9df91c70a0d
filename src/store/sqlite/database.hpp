#pragma once

#include "base/bytes.hpp"
#include "base/files.hpp"
#include "base/id.hpp"
#include "base/result.hpp"

#include <concepts>
#include <map>
#include <memory>
#include <string>

struct sqlite3;
struct sqlite3_stmt;

namespace altiplano::store::sqlite {

/// A prepared statement in use; reset when it goes out of scope. Parameters are bound in order from the first.
class Statement {
public:
    /// @param failed  why there is no statement: its first step says so
    explicit Statement(sqlite3* database, sqlite3_stmt* statement, int failed = 0)
        : database_(database)
        , statement_(statement)
        , failed_(failed)
    {
    }
    ~Statement();
    Statement(Statement&& other) noexcept
        : database_(other.database_)
        , statement_(std::exchange(other.statement_, nullptr))
        , failed_(other.failed_)
    {
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(Bytes bytes);
    Statement& bind(std::string_view text) { return bind(as_bytes(text)); }
    Statement& bind(std::int64_t number);
    Statement& bind(std::uint64_t number) { return bind(static_cast<std::int64_t>(number)); }
    template <class Kind> Statement& bind(const Id<Kind>& id) { return bind(id.bytes()); }
    Statement& bind_null();

    /// @return whether a row is there; store.database, store.disk_full, store.conflict for a broken UNIQUE
    Result<bool> step();
    /// Runs a statement that gives no rows.
    Result<void> run();

    Bytes bytes(int column) const;  ///< until the next step
    std::string text(int column) const { return to_string(bytes(column)); }
    std::int64_t number(int column) const;
    std::uint64_t unsigned_number(int column) const { return static_cast<std::uint64_t>(number(column)); }
    bool is_null(int column) const;
    template <class IdType> Result<IdType> id(int column) const { return IdType::from_bytes(bytes(column)); }

private:
    sqlite3* database_;
    sqlite3_stmt* statement_;
    int failed_;
    int next_ = 1;
};

/// One connection. One thread at a time.
class Database {
public:
    enum class Durable { full, off };
    /// WAL mode. @return store.database
    static Result<std::unique_ptr<Database>> open(const Path& path, Durable durable);
    /// One that exists; writes to it fail. @return store.database
    static Result<std::unique_ptr<Database>> open_to_read(const Path& path);
    /// Empties one, whatever is in its file. @return store.database
    static Result<void> begin_again(const Path& path);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    Result<void> execute(const char* sql);
    /// The statement, prepared once and kept. `sql` must be a literal: its address is the key.
    Statement prepare(const char* sql);

private:
    explicit Database(sqlite3* handle)
        : handle_(handle)
    {
    }
    sqlite3* handle_;
    std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace altiplano::store::sqlite
