/* What SQLite asks of a system, in a process: the time and chance of the message at hand, and no files. Temporary data stays in memory
   (SQLITE_TEMP_STORE=3), databases are ":memory:". */
#include <sqlite3.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int refuse_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *given)
{
    (void)vfs, (void)name, (void)flags, (void)given;
    file->pMethods = NULL;
    return SQLITE_CANTOPEN;
}

static int refuse_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs, (void)name, (void)sync;
    return SQLITE_IOERR_DELETE;
}

static int access_none(sqlite3_vfs *vfs, const char *name, int flags, int *answer)
{
    (void)vfs, (void)name, (void)flags;
    *answer = 0;
    return SQLITE_OK;
}

static int full_name(sqlite3_vfs *vfs, const char *name, int length, char *full)
{
    (void)vfs;
    if (strlen(name) >= (size_t)length) return SQLITE_CANTOPEN;
    strcpy(full, name);
    return SQLITE_OK;
}

static int chance(sqlite3_vfs *vfs, int length, char *bytes)
{
    (void)vfs;
    if (length > 256) length = 256;  /* as much as getentropy gives at once */
    return getentropy(bytes, (size_t)length) == 0 ? length : 0;
}

static int no_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs, (void)microseconds;
    return 0;
}

/* Milliseconds since the beginning of the Julian day count. */
static int now_ms(sqlite3_vfs *vfs, sqlite3_int64 *now)
{
    (void)vfs;
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    *now = 210866760000000 + (sqlite3_int64)time.tv_sec * 1000 + time.tv_nsec / 1000000;
    return SQLITE_OK;
}

static int now_days(sqlite3_vfs *vfs, double *now)
{
    sqlite3_int64 ms;
    now_ms(vfs, &ms);
    *now = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int no_error(sqlite3_vfs *vfs, int length, char *text)
{
    (void)vfs, (void)length, (void)text;
    return 0;
}

int sqlite3_os_init(void)
{
    static sqlite3_vfs system = {
        .iVersion = 2, .szOsFile = sizeof(sqlite3_file), .mxPathname = 64, .zName = "process", .xOpen = refuse_open, .xDelete = refuse_delete,
        .xAccess = access_none, .xFullPathname = full_name, .xRandomness = chance, .xSleep = no_sleep, .xCurrentTime = now_days,
        .xGetLastError = no_error, .xCurrentTimeInt64 = now_ms,
    };
    return sqlite3_vfs_register(&system, 1);
}

int sqlite3_os_end(void)
{
    return SQLITE_OK;
}
