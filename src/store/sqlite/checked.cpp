#include "store/sqlite/checked.hpp"

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "store/sqlite/pass_through.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace altiplano::store::sqlite {

namespace {

constexpr int reserved_bytes = 8;
constexpr int page_bytes_max = 65536;
constexpr int stop_checking = 0x616c7401;  // a file control of our own
// With one page more still below 128 KiB, which SQLite's VFS of Unix cannot write at once: it says that the disk is full
// (os_unix.c, seekAndWriteFd).
constexpr std::size_t gathered_max = 1 << 16;

sqlite3_vfs* real = nullptr;

std::mutex damaged_mutex;
std::set<std::string>& damaged_files()
{
    static std::set<std::string> files;
    return files;
}

/// Bytes that follow one another in a file and are not written yet.
struct Gathered {
    sqlite3_int64 offset = 0;
    std::vector<unsigned char> bytes{};
};

struct CheckedFile {
    sqlite3_file base;
    bool checks;  ///< a database file whose pages have room for checksums
    bool database;
    bool ignores;  ///< what was read is about to be forgotten
    const char* name;  ///< SQLite's, as long as the file is open
    Gathered* gathered;  ///< of a write-ahead log whose writes go together; null: each goes at once
    sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
using Inner = PassThrough<CheckedFile>;
CheckedFile& of(sqlite3_file* file)
{
    return Inner::of(file);
}

/// Two sums over 32-bit words, each into the other, as SQLite has them in its write-ahead log; begun with the place, so that a
/// page in another's place is found too.
std::uint64_t checksum(const unsigned char* page, int bytes, sqlite3_int64 offset)
{
    auto one = static_cast<std::uint32_t>(offset);
    auto two = static_cast<std::uint32_t>(offset >> 32) + 1;
    for (int i = 0; i < bytes - reserved_bytes; i += 8) {
        std::uint32_t words[2];
        std::memcpy(words, page + i, sizeof words);
        one += words[0] + two;
        two += words[1] + one;
    }
    return static_cast<std::uint64_t>(one) << 32 | two;
}

bool is_page(int bytes, sqlite3_int64 offset)
{
    return bytes >= 512 && bytes <= page_bytes_max && (bytes & (bytes - 1)) == 0 && offset % bytes == 0;
}

/// The header of page 1 says whether there is room (https://www.sqlite.org/fileformat2.html, 1.3).
void look_at_header(CheckedFile& file, const void* bytes)
{
    const auto* const header = static_cast<const unsigned char*>(bytes);
    if (std::memcmp(header, "SQLite format 3", 16) == 0)
        file.checks = header[20] == reserved_bytes;
}

int write_gathered(CheckedFile& file)
{
    if (!file.gathered || file.gathered->bytes.empty())
        return SQLITE_OK;
    // Cleared also when it fails: SQLite then takes the transaction back, and begins at the same place again.
    auto& [offset, bytes] = *file.gathered;
    const int code = file.inner()->pMethods->xWrite(file.inner(), bytes.data(), static_cast<int>(bytes.size()), offset);
    bytes.clear();
    return code;
}
/// SQLite writes its log in two pieces for each page, all of them after one another.
int gather(CheckedFile& file, const void* from, int bytes, sqlite3_int64 offset)
{
    auto& gathered = *file.gathered;
    const auto end = gathered.offset + static_cast<sqlite3_int64>(gathered.bytes.size());
    if (offset != end || gathered.bytes.size() >= gathered_max)
        if (const int code = write_gathered(file); code != SQLITE_OK)
            return code;
    if (gathered.bytes.empty())
        gathered.offset = offset;
    const auto* const begin = static_cast<const unsigned char*>(from);
    gathered.bytes.insert(gathered.bytes.end(), begin, begin + bytes);
    return SQLITE_OK;
}

int close_file(sqlite3_file* file)
{
    const int written = write_gathered(of(file));
    delete std::exchange(of(file).gathered, nullptr);
    const int closed = Inner::close(file);
    return written != SQLITE_OK ? written : closed;
}
int read_file(sqlite3_file* file, void* into, int bytes, sqlite3_int64 offset)
{
    auto& f = of(file);
    if (const int written = write_gathered(f); written != SQLITE_OK)
        return written;
    const int code = Inner::read(file, into, bytes, offset);
    if (code != SQLITE_OK || !f.database)
        return code;
    if (offset == 0 && bytes >= 100 && !f.checks)
        look_at_header(f, into);
    if (!f.checks || f.ignores || !is_page(bytes, offset))
        return code;
    const auto* const page = static_cast<const unsigned char*>(into);
    std::uint64_t found = 0;
    std::memcpy(&found, page + bytes - reserved_bytes, sizeof found);
    // A page that was never written is a hole of zeros.
    if (found == checksum(page, bytes, offset) || std::all_of(page, page + bytes, [](unsigned char b) { return b == 0; }))
        return code;
    {
        const std::lock_guard lock(damaged_mutex);
        damaged_files().insert(f.name);
    }
    log::error("page {} of {} is not what was written: its checksum differs", offset / bytes + 1, f.name);
    return SQLITE_IOERR_DATA;
}
int write_file(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset)
{
    auto& f = of(file);
    if (f.gathered)
        return gather(f, from, bytes, offset);
    if (f.database && offset == 0 && bytes >= 512)
        look_at_header(f, from);
    if (!f.checks || !is_page(bytes, offset))
        return Inner::write(file, from, bytes, offset);
    unsigned char page[page_bytes_max];
    std::memcpy(page, from, static_cast<std::size_t>(bytes));
    const auto sum = checksum(page, bytes, offset);
    std::memcpy(page + bytes - reserved_bytes, &sum, sizeof sum);
    return Inner::write(file, page, bytes, offset);
}
int control(sqlite3_file* file, int what, void* argument)
{
    if (what == stop_checking) {
        of(file).ignores = true;
        return SQLITE_OK;
    }
    return Inner::control(file, what, argument);
}

// What is gathered goes first.
int truncate_file(sqlite3_file* file, sqlite3_int64 size)
{
    if (const int written = write_gathered(of(file)); written != SQLITE_OK)
        return written;
    return Inner::truncate(file, size);
}
int sync_file(sqlite3_file* file, int flags)
{
    if (const int written = write_gathered(of(file)); written != SQLITE_OK)
        return written;
    return Inner::sync(file, flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size)
{
    if (const int written = write_gathered(of(file)); written != SQLITE_OK)
        return written;
    return Inner::size(file, size);
}
constexpr sqlite3_io_methods methods = [] {
    auto all = Inner::methods;
    all.xClose = close_file;
    all.xRead = read_file;
    all.xWrite = write_file;
    all.xTruncate = truncate_file;
    all.xSync = sync_file;
    all.xFileSize = file_size;
    all.xFileControl = control;
    return all;
}();

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags)
{
    auto& f = of(file);
    f = {};
    f.name = name;
    f.database = name != nullptr && (flags & SQLITE_OPEN_MAIN_DB) != 0;
    const int code = real->xOpen(real, name, f.inner(), flags, out_flags);
    if (code == SQLITE_OK)
        f.base.pMethods = &methods;
    return code;
}

}  // namespace

const char* checked_vfs()
{
    static const char* const name = [] {
        static sqlite3_vfs vfs;
        // What a transaction of many changed before the one that may fail: beyond this in a temporary file, whose name is made
        // and removed in each of them (by default beyond 64 KiB). Too late where somebody began with SQLite before; then it
        // only costs.
        (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, 8 << 20);
        real = sqlite3_vfs_find(nullptr);
        vfs = *real;
        vfs.zName = "altiplano";
        vfs.szOsFile = static_cast<int>(sizeof(CheckedFile)) + real->szOsFile;
        vfs.xOpen = open_file;
        sqlite3_vfs_register(&vfs, 0);
        return vfs.zName;
    }();
    return name;
}

void gather_log_writes(sqlite3* database)
{
    sqlite3_exec(database, "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);  // which opens the log
    sqlite3_file* log = nullptr;
    sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
    sqlite3_file* main = nullptr;
    sqlite3_file_control(database, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&main));
    // Where a sector may be torn, SQLite fills up the log's last one after the sync, and names those pages to readers.
    if (!main || (Inner::characteristics(main) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) == 0)
        return;
    if (log && log->pMethods == &methods && !of(log).database && !of(log).gathered)
        of(log).gathered = new Gathered;
}

void reserve_checksums(sqlite3* database)
{
    int bytes = reserved_bytes;
    sqlite3_file_control(database, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
}

// SQLite names its files without links and doubled slashes.
bool found_damaged(const Path& path)
{
    std::error_code ignored;
    const auto name = std::filesystem::weakly_canonical(path, ignored).string();
    const std::lock_guard lock(damaged_mutex);
    return damaged_files().contains(name);
}

void forget_damage(const Path& path)
{
    std::error_code ignored;
    const auto name = std::filesystem::weakly_canonical(path, ignored).string();
    const std::lock_guard lock(damaged_mutex);
    damaged_files().erase(name);
}

bool reset(sqlite3* database)
{
    // https://www.sqlite.org/c3ref/c_dbconfig_defensive.html, SQLITE_DBCONFIG_RESET_DATABASE. Afterwards it is closed and
    // opened again, which is when its pages are checked again.
    sqlite3_file_control(database, "main", stop_checking, nullptr);
    reserve_checksums(database);
    sqlite3_db_config(database, SQLITE_DBCONFIG_RESET_DATABASE, 1, nullptr);
    const bool empty = sqlite3_exec(database, "VACUUM", nullptr, nullptr, nullptr) == SQLITE_OK;
    sqlite3_db_config(database, SQLITE_DBCONFIG_RESET_DATABASE, 0, nullptr);
    return empty;
}

}  // namespace altiplano::store::sqlite
