#include "base/files.hpp"

#include <atomic>
#include <fmt/format.h>
#include <unistd.h>

namespace altiplano {

Result<Buffer> read_file(Files& files, const Path& path)
{
    TRY(const auto file, files.open(path, Files::Mode::read));
    TRY(const auto size, file->size());
    Buffer bytes(size);
    TRY(const auto got, file->read_at(0, bytes));
    bytes.resize(got);
    return bytes;
}

Result<void> write_file(Files& files, const Path& path, Bytes bytes)
{
    // A name of its own, since several processes may be writing the same file: workers that compile one module.
    static std::atomic<unsigned> count = 0;
    auto temporary = path;
    temporary += fmt::format(".{}-{}.tmp", getpid(), count++);
    const auto write = [&]() -> Result<void> {
        TRY(const auto file, files.open(temporary, Files::Mode::create_new));
        TRY_OK(file->write_at(0, bytes));
        return file->sync();
    };
    if (auto written = write(); !written) {
        // The error that matters is the first one.
        (void)files.remove(temporary).has_value();
        return written;
    }
    TRY_OK(files.rename(temporary, path));
    return files.sync_directory(path.has_parent_path() ? path.parent_path() : Path("."));
}

}  // namespace altiplano
