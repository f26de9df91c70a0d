#include "base/page_cache.hpp"

#include <fcntl.h>
#include <sys/mman.h>

namespace altiplano {

void cache_in_large_pieces(int descriptor, std::uint64_t offset, std::uint64_t bytes) noexcept
{
    if (descriptor < 0 || bytes == 0)
        return;
    const auto begin = static_cast<off_t>(offset);
    // Only what was written to the disk is dropped.
    (void)sync_file_range(descriptor, begin, static_cast<off_t>(bytes),
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    (void)posix_fadvise(descriptor, begin, static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
    auto* const shown = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, begin);
    if (shown == MAP_FAILED)
        return;
    // Populating says so where the file has become shorter meanwhile; a look would be the end of the program.
    if (madvise(shown, bytes, MADV_HUGEPAGE) == 0)
        (void)madvise(shown, bytes, MADV_POPULATE_READ);
    munmap(shown, bytes);
}

}  // namespace altiplano
