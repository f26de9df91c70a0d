#include "base/files.hpp"

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
    auto temporary = path;
    temporary += ".tmp";
    TRY_OK(files.remove(temporary));
    const auto write = [&]() -> Result<void> {
        TRY(const auto file, files.open(temporary, Files::Mode::create_new));
        TRY_OK(file->write_at(0, bytes));
        return file->sync();
    };
    if (auto written = write(); !written) {
        // The error that matters is the first one; a temporary file left behind is replaced by the next try.
        (void)files.remove(temporary).has_value();
        return written;
    }
    TRY_OK(files.rename(temporary, path));
    return files.sync_directory(path.parent_path());
}

}  // namespace altiplano
