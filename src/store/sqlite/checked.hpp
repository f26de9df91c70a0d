#pragma once

#include "base/files.hpp"

struct sqlite3;

/// Checksums for the pages of a database file. SQLite has none: a bit that a disk changed comes back as a record.
namespace altiplano::store::sqlite {

/// The name of a VFS over the system's. Pages of databases made through it carry a checksum over content and place in their
/// last eight bytes: written with the page, compared when it is read; one that does not fit fails the read. Databases made
/// without it are read as they are. The write-ahead log has SQLite's own checksums, which its recovery compares.
const char* checked_vfs();
/// Before anything is written to a new database: makes room for the checksum in each of its pages.
void reserve_checksums(sqlite3* database);
/// Of a database in WAL mode with `synchronous = FULL`, and of no other: what goes to its log is held back until the log is
/// synced, then written at once. SQLite tells nobody of a commit before that sync, so nobody misses what is held back; a write
/// that fails is that sync's failure.
void gather_log_writes(sqlite3* database);
/// Whether a page of that database file was found changed since this program began.
bool found_damaged(const Path& path);
void forget_damage(const Path& path);
/// Begins the database again as an empty one, whatever is in the file. @return whether that worked
bool reset(sqlite3* database);

}  // namespace altiplano::store::sqlite
