#pragma once

#include "base/files.hpp"
#include "base/hash.hpp"

#include <atomic>

namespace altiplano::store {

/// Large data, a file each, named by the SHA-256 of its bytes; the file holds exactly them, so that it can be mapped.
/// Never changed once there: temporary name, sync, rename, 0444. Safe from any thread.
class Blobs {
public:
    /// Data from this size on goes to a blob; less stays in the records.
    static constexpr std::uint64_t size_min = std::uint64_t{64} * 1024;

    /// @return base.file_failed
    static Result<std::unique_ptr<Blobs>> open(Files& files, Path folder);

    /// One that another program may be writing: nothing is made or tidied.
    static Result<std::unique_ptr<Blobs>> open_to_read(Files& files, Path folder);

    /// A blob being written. Destroyed unfinished, it leaves nothing.
    class Writer {
    public:
        ~Writer();
        Writer(const Writer&) = delete;
        Writer& operator=(const Writer&) = delete;
        /// @return base.disk_full, base.file_failed
        Result<void> append(Bytes bytes);
        std::uint64_t size() const noexcept { return size_; }
        /// Durable under its name when it returns.
        Result<Digest> finish();

    private:
        friend class Blobs;
        Writer(Blobs& blobs, Path path, std::unique_ptr<File> file)
            : blobs_(blobs)
            , path_(std::move(path))
            , file_(std::move(file))
        {
        }
        Blobs& blobs_;
        Path path_;
        std::unique_ptr<File> file_;
        Sha256Hasher hasher_;
        std::uint64_t size_ = 0;
    };
    Result<std::unique_ptr<Writer>> write();

    /// Makes a file that is written to its end and synced a blob; it lies on the same file system and moves.
    /// @param hash  the SHA-256 of its bytes, which the caller has just read @return base.file_failed
    Result<void> take(const Path& file, const Digest& hash);

    /// @return store.not_found, base.file_failed
    Result<std::unique_ptr<File>> read(const Digest& hash);
    Path path(const Digest& hash) const;
    /// Reads every blob. @return the names of those whose bytes are others
    Result<std::vector<Digest>> scrub();

private:
    Blobs(Files& files, Path folder)
        : files_(files)
        , folder_(std::move(folder))
    {
    }
    Files& files_;
    Path folder_;
    std::atomic<std::uint64_t> next_temporary_{0};
};

/// What becomes of what the system's cache has of a file that is read.
enum class Cached { as_it_lies, in_large_pieces };
/// The SHA-256 of a whole file, read in steps.
/// @param cached  in large pieces: before each step is read, for files that are going to be mapped and read over and over
Result<Digest> sha256_of(const File& file, Cached cached = Cached::as_it_lies);

}  // namespace altiplano::store
