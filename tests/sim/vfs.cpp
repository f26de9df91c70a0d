// SQLite's files, recorded. A shim over the system's own VFS; what SQLite asks of the disk beyond contents goes straight on.
#include "recorder.hpp"

#include "base/errors.hpp"
#include "store/sqlite/pass_through.hpp"

#include <atomic>
#include <cstring>

namespace altiplano::sim {

Recorder* vfs_recorder = nullptr;

namespace {

sqlite3_vfs* real = nullptr;
std::atomic<std::uint64_t> chance = 0;

struct ShimFile {
    sqlite3_file base;
    Recorder* recorder;  ///< null: not watched
    std::uint32_t number;
    bool new_journal;  ///< its first sync makes its name durable, as the system's VFS does (UNIXFILE_DIRSYNC)
    char path[240];
    sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
using Inner = store::sqlite::PassThrough<ShimFile>;
ShimFile& of(sqlite3_file* file)
{
    return Inner::of(file);
}

int code_of(const Result<void>& done, int otherwise)
{
    if (done)
        return SQLITE_OK;
    return done.error().code == errors::disk_full ? SQLITE_FULL : otherwise;
}

Result<void> inner(int code)
{
    if (code == SQLITE_OK)
        return {};
    return fail("sim.sqlite", std::to_string(code));
}

int write_file(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset)
{
    auto& f = of(file);
    const auto act = [&] { return Inner::write(file, from, bytes, offset); };
    if (!f.recorder)
        return act();
    const auto* const begin = static_cast<const std::byte*>(from);
    return code_of(f.recorder->op({.kind = Op::Kind::write,
                                      .file = f.number,
                                      .path = f.path,
                                      .offset = static_cast<std::uint64_t>(offset),
                                      .bytes = Buffer(begin, begin + bytes)},
                       [&] { return inner(act()); }),
        SQLITE_IOERR_WRITE);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size)
{
    auto& f = of(file);
    const auto act = [&] { return Inner::truncate(file, size); };
    if (!f.recorder)
        return act();
    return code_of(
        f.recorder->op({.kind = Op::Kind::truncate, .file = f.number, .path = f.path, .offset = static_cast<std::uint64_t>(size)},
            [&] { return inner(act()); }),
        SQLITE_IOERR_TRUNCATE);
}
int sync_file(sqlite3_file* file, int flags)
{
    auto& f = of(file);
    if (!f.recorder)
        return Inner::sync(file, flags);
    const auto nothing = [] { return Result<void>{}; };
    const int code =
        code_of(f.recorder->op({.kind = Op::Kind::sync, .file = f.number, .path = f.path}, nothing), SQLITE_IOERR_FSYNC);
    if (code != SQLITE_OK || !f.new_journal)
        return code;
    f.new_journal = false;
    const std::string path = f.path;
    const auto slash = path.rfind('/');
    return code_of(
        f.recorder->op({.kind = Op::Kind::sync_directory, .path = slash == path.npos ? "" : path.substr(0, slash)}, nothing),
        SQLITE_IOERR_DIR_FSYNC);
}
constexpr sqlite3_io_methods methods = [] {
    auto all = Inner::methods;
    all.xWrite = write_file;
    all.xTruncate = truncate_file;
    all.xSync = sync_file;
    return all;
}();

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags)
{
    auto& f = of(file);
    f = {};
    Op create{.kind = Op::Kind::create};
    const auto inside = vfs_recorder && name ? vfs_recorder->inside(name) : std::nullopt;
    std::optional<std::unique_lock<std::recursive_mutex>> lock;
    if (inside) {
        lock.emplace(vfs_recorder->mutex_);
        create.path = *inside;
        ENSURE(inside->size() < sizeof f.path, "names in a data folder are short");
        // Not xAccess, for which an empty file is none.
        if (!system_files().exists(name) && (flags & SQLITE_OPEN_CREATE)) {
            if (const auto may = vfs_recorder->may(create); !may)
                return code_of(may, SQLITE_CANTOPEN);
        } else {
            create.path.clear();
        }
    }
    const int code = real->xOpen(real, name, f.inner(), flags, out_flags);
    if (f.inner()->pMethods)
        f.base.pMethods = &methods;
    if (code != SQLITE_OK || !inside)
        return code;
    if (!create.path.empty()) {
        f.new_journal = (flags & (SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
        vfs_recorder->note(create);
    }
    f.recorder = vfs_recorder;
    f.number = vfs_recorder->number_of(*inside);
    std::strcpy(f.path, inside->c_str());
    return code;
}

int delete_file(sqlite3_vfs*, const char* name, int sync)
{
    const auto inside = vfs_recorder ? vfs_recorder->inside(name) : std::nullopt;
    if (!inside || vfs_recorder->number_of(*inside) == 0)
        return real->xDelete(real, name, sync);
    const auto act = [&] { return inner(real->xDelete(real, name, 0)); };
    const int code =
        code_of(vfs_recorder->op({.kind = Op::Kind::remove, .file = vfs_recorder->number_of(*inside), .path = *inside}, act),
            SQLITE_IOERR_DELETE);
    if (code != SQLITE_OK || !sync)
        return code;
    const auto slash = inside->rfind('/');
    return code_of(
        vfs_recorder->op({.kind = Op::Kind::sync_directory, .path = slash == inside->npos ? "" : inside->substr(0, slash)},
            [] { return Result<void>{}; }),
        SQLITE_IOERR_DIR_FSYNC);
}

int fill_with_chance(sqlite3_vfs*, int bytes, char* out)
{
    Chance generator(chance++);
    for (int i = 0; i < bytes; ++i)
        out[i] = static_cast<char>(generator());
    return bytes;
}

}  // namespace

void register_vfs()
{
    static sqlite3_vfs vfs;
    real = sqlite3_vfs_find(nullptr);
    vfs = *real;
    vfs.zName = "recorded";
    vfs.szOsFile = static_cast<int>(sizeof(ShimFile)) + real->szOsFile;
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    vfs.xRandomness = fill_with_chance;
    sqlite3_vfs_register(&vfs, 1);
}

void reset_sqlite_chance(std::uint64_t seed)
{
    chance = seed;
    sqlite3_randomness(0, nullptr);
}

}  // namespace altiplano::sim
