#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <filesystem>
#include <memory>
#include <vector>

namespace altiplano {

using Path = std::filesystem::path;

/// An open file. Closed by the destructor, without a sync. One writer; reads may run on several threads.
class File {
public:
    virtual ~File() = default;
    /// Reads until `into` is full or the file ends. @return the bytes read; base.file_failed
    virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const = 0;
    /// Writes all of it. @return base.file_failed, base.disk_full
    virtual Result<void> write_at(std::uint64_t offset, Bytes bytes) = 0;
    virtual Result<std::uint64_t> size() const = 0;
    /// What it takes on the disk, holes left out.
    virtual Result<std::uint64_t> stored_bytes() const { return size(); }
    virtual Result<void> truncate(std::uint64_t size_bytes) = 0;
    /// Durable when it returns. A failed sync is fatal for what was written: reopen from disk (law 7).
    virtual Result<void> sync() = 0;
    /// The descriptor, for mapping and for handing to a worker; -1 where there is none (the simulator).
    virtual int descriptor() const noexcept = 0;
};

/// The file system, passed in: no room opens a file itself.
class Files {
public:
    enum class Mode { read, create, create_new };  ///< create: read and write, made when missing; create_new: must be missing

    virtual ~Files() = default;
    /// @return base.file_missing, base.file_failed, base.disk_full
    virtual Result<std::unique_ptr<File>> open(const Path& path, Mode mode) = 0;
    virtual bool exists(const Path& path) = 0;
    /// Atomic; the new name is durable after sync_directory.
    virtual Result<void> rename(const Path& from, const Path& to) = 0;
    virtual Result<void> remove(const Path& path) = 0;  ///< a missing file is no error
    virtual Result<void> make_directories(const Path& path) = 0;
    virtual Result<void> sync_directory(const Path& path) = 0;
    virtual Result<void> set_read_only(const Path& path) = 0;  ///< 0444
    /// Nobody but the owner: 0700 for a folder, 0600 for a file. Where there are no modes (the simulator), nothing.
    virtual Result<void> set_private(const Path& path)
    {
        (void)path;
        return {};
    }
    /// Names in a directory, sorted.
    virtual Result<std::vector<std::string>> list(const Path& path) = 0;
};

/// The machine's own file system, of static lifetime.
Files& system_files();

/// A file that is open already, received from another process; closed with the object.
std::unique_ptr<File> adopt_file(int descriptor);

/// The whole file in memory. @return base.file_missing, base.file_failed
Result<Buffer> read_file(Files& files, const Path& path);
/// Durable and whole or absent: temporary name, sync, rename, directory sync.
Result<void> write_file(Files& files, const Path& path, Bytes bytes);

}  // namespace altiplano
