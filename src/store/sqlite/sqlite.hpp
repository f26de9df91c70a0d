#pragma once

#include "base/executor.hpp"
#include "store/records.hpp"
#include "store/sqlite/database.hpp"

namespace altiplano::store {

struct SqliteOptions {
    bool durable = true;  ///< false: for tests that need no disk
    bool group = true;  ///< false: every transaction gets a commit of its own
    bool to_read = false;  ///< another program may be writing; nothing is made, and writes fail
};

/// `path`: the database file, made when missing.
/// @return store.database, store.newer_format
Result<std::unique_ptr<Records>> open_records(const Path& path, SqliteOptions options = {});
Result<std::unique_ptr<Cache>> open_cache(const Path& path, SqliteOptions options = {});

}  // namespace altiplano::store
