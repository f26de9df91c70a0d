#pragma once

#include <sqlite3.h>

/// For a VFS of SQLite's that stands over another one. Only for sources that are such a VFS: it shows SQLite.
namespace altiplano::store::sqlite {

/// The methods of a file that goes straight on. @tparam Shim  begins with a `sqlite3_file`; `inner()` is the file under it
template <class Shim> struct PassThrough {
    static Shim& of(sqlite3_file* file) { return *reinterpret_cast<Shim*>(file); }
    static sqlite3_file* in(sqlite3_file* file) { return of(file).inner(); }
    static const sqlite3_io_methods& on(sqlite3_file* file) { return *in(file)->pMethods; }

    static int close(sqlite3_file* file) { return in(file)->pMethods ? on(file).xClose(in(file)) : SQLITE_OK; }
    static int read(sqlite3_file* file, void* into, int bytes, sqlite3_int64 offset)
    {
        return on(file).xRead(in(file), into, bytes, offset);
    }
    static int write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset)
    {
        return on(file).xWrite(in(file), from, bytes, offset);
    }
    static int truncate(sqlite3_file* file, sqlite3_int64 size) { return on(file).xTruncate(in(file), size); }
    static int sync(sqlite3_file* file, int flags) { return on(file).xSync(in(file), flags); }
    static int size(sqlite3_file* file, sqlite3_int64* size) { return on(file).xFileSize(in(file), size); }
    static int lock(sqlite3_file* file, int level) { return on(file).xLock(in(file), level); }
    static int unlock(sqlite3_file* file, int level) { return on(file).xUnlock(in(file), level); }
    static int is_reserved(sqlite3_file* file, int* out) { return on(file).xCheckReservedLock(in(file), out); }
    static int control(sqlite3_file* file, int what, void* argument) { return on(file).xFileControl(in(file), what, argument); }
    static int sector_size(sqlite3_file* file) { return on(file).xSectorSize(in(file)); }
    static int characteristics(sqlite3_file* file) { return on(file).xDeviceCharacteristics(in(file)); }
    static int map_shared(sqlite3_file* file, int page, int bytes, int extend, void volatile** out)
    {
        return on(file).xShmMap(in(file), page, bytes, extend, out);
    }
    static int lock_shared(sqlite3_file* file, int offset, int count, int flags)
    {
        return on(file).xShmLock(in(file), offset, count, flags);
    }
    static void barrier(sqlite3_file* file) { on(file).xShmBarrier(in(file)); }
    static int unmap_shared(sqlite3_file* file, int remove) { return on(file).xShmUnmap(in(file), remove); }

    /// Version 2: with shared memory for the write-ahead log, without mapped reads, which would pass the shim by.
    static constexpr sqlite3_io_methods methods{2, close, read, write, truncate, sync, size, lock, unlock, is_reserved, control,
        sector_size, characteristics, map_shared, lock_shared, barrier, unmap_shared, nullptr, nullptr};
};

}  // namespace altiplano::store::sqlite
