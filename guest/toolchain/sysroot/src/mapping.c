/* mmap for a guest: parts of an opened file appear in linear memory without being copied, read-only.

   Address space comes from memory.grow (the allocator copes with memory that it did not ask for), contents from the
   host's import altiplano.map. Where the host will not map, the bytes are read instead. Address space cannot be given
   back, so an unmapped range is kept for the next mapping that fits. */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Both return a WASI errno. `at` is a multiple of 64 KiB; after unmap the range is zero and writable. */
__attribute__((import_module("altiplano"), import_name("map")))
int32_t altiplano_map(int32_t file, int64_t offset, int64_t length, int64_t at);
__attribute__((import_module("altiplano"), import_name("unmap")))
int32_t altiplano_unmap(int64_t at, int64_t length);

enum { page_bytes = 65536, free_ranges_max = 64 };

static struct range { char *at; size_t pages; } free_ranges[free_ranges_max];

static size_t pages_for(size_t length) { return length / page_bytes + (length % page_bytes != 0); }

static char *take_range(size_t pages)
{
    for (int i = 0; i < free_ranges_max; i++) {
        struct range *range = &free_ranges[i];
        if (range->pages < pages) continue;
        char *at = range->at;
        range->at += pages * page_bytes;
        range->pages -= pages;
        return at;
    }
    const size_t end = __builtin_wasm_memory_grow(0, pages);
    return end == SIZE_MAX ? NULL : (char *)(end * page_bytes);
}

/* Neighbours are joined, since a mapping is often given back in parts. When the table is full the range is lost to the
   guest: 64 holes at a time are more than any guest of ours makes. */
static void give_range(char *at, size_t pages)
{
    struct range *empty = NULL;
    for (int i = 0; i < free_ranges_max; i++) {
        struct range *range = &free_ranges[i];
        if (range->pages == 0) {
            if (!empty) empty = range;
        } else if (range->at + range->pages * page_bytes == at) {
            range->pages += pages;
            return;
        } else if (at + pages * page_bytes == range->at) {
            range->at = at;
            range->pages += pages;
            return;
        }
    }
    if (empty) *empty = (struct range){ at, pages };
}

/* Reads [offset, offset + length) of the file; past its end the range stays zero. */
static int read_range(int file, char *at, size_t length, off_t offset)
{
    for (size_t done = 0; done < length;) {
        const ssize_t got = pread(file, at + done, length - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        done += (size_t)got;
    }
    return 0;
}

void *mmap(void *wanted, size_t length, int protection, int flags, int file, off_t offset)
{
    (void)wanted, (void)protection;
    if (length == 0 || (flags & (MAP_FIXED | MAP_ANON))) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    const size_t pages = pages_for(length);
    char *at = take_range(pages);
    if (!at) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    if (altiplano_map(file, offset, (int64_t)length, (int64_t)at) == 0) return at;
    if (read_range(file, at, length, offset) == 0) return at;
    const int reason = errno;
    munmap(at, length);
    errno = reason;
    return MAP_FAILED;
}

/* Parts of a mapping can be given back: llama.cpp does so with what it has copied elsewhere. */
int munmap(void *at, size_t length)
{
    if ((uintptr_t)at % page_bytes != 0 || length == 0) {
        errno = EINVAL;
        return -1;
    }
    const size_t pages = pages_for(length);
    if (altiplano_unmap((int64_t)at, (int64_t)(pages * page_bytes)) != 0)
        __builtin_memset(at, 0, pages * page_bytes);  /* it was read, not mapped */
    give_range(at, pages);
    return 0;
}

int posix_madvise(void *at, size_t length, int advice) { (void)at, (void)length, (void)advice; return 0; }
int madvise(void *at, size_t length, int advice) { (void)at, (void)length, (void)advice; return 0; }
int msync(void *at, size_t length, int flags) { (void)at, (void)length, (void)flags; return 0; }
int mprotect(void *at, size_t length, int protection) { (void)at, (void)length, (void)protection; errno = ENOSYS; return -1; }
int mlock(const void *at, size_t length) { (void)at, (void)length; errno = ENOSYS; return -1; }
int munlock(const void *at, size_t length) { (void)at, (void)length; return 0; }
