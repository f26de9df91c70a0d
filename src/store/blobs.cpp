#include "store/blobs.hpp"

#include "base/base64url.hpp"
#include "base/errors.hpp"
#include "base/page_cache.hpp"
#include "store/errors.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::store {

namespace {
/// Whole steps of a hash. A model may be longer than memory.
constexpr std::uint64_t recached_bytes = std::uint64_t{64} << 20;
}  // namespace

Result<std::unique_ptr<Blobs>> Blobs::open(Files& files, Path folder)
{
    TRY_OK(files.make_directories(folder));
    // What an earlier run left unfinished was never acknowledged.
    TRY(const auto names, files.list(folder));
    for (const auto& name : names)
        if (name.ends_with(".tmp"))
            TRY_OK(files.remove(folder / name));
    return std::unique_ptr<Blobs>(new Blobs(files, std::move(folder)));
}

Result<std::unique_ptr<Blobs>> Blobs::open_to_read(Files& files, Path folder)
{
    return std::unique_ptr<Blobs>(new Blobs(files, std::move(folder)));
}

// Hexadecimal, since a file system may not tell upper from lower case; 256 folders, so that none grows too long.
Path Blobs::path(const Digest& hash) const
{
    const auto name = hex(hash.bytes());
    return folder_ / name.substr(0, 2) / name;
}

Result<std::unique_ptr<Blobs::Writer>> Blobs::write()
{
    auto path = folder_ / fmt::format("{}.tmp", next_temporary_++);
    TRY(auto file, files_.open(path, Files::Mode::create_new));
    return std::unique_ptr<Writer>(new Writer(*this, std::move(path), std::move(file)));
}

Blobs::Writer::~Writer()
{
    if (file_)
        (void)blobs_.files_.remove(path_).has_value();
}

Result<void> Blobs::Writer::append(Bytes bytes)
{
    TRY_OK(file_->write_at(size_, bytes));
    hasher_.update(bytes);
    size_ += bytes.size();
    return {};
}

Result<Digest> Blobs::Writer::finish()
{
    const auto hash = hasher_.finish();
    TRY_OK(file_->sync());
    TRY_OK(blobs_.take(path_, hash));
    file_.reset();
    return hash;
}

Result<void> Blobs::take(const Path& file, const Digest& hash)
{
    const auto name = path(hash);
    TRY_OK(files_.make_directories(name.parent_path()));
    if (files_.exists(name))
        return files_.remove(file);
    TRY_OK(files_.set_read_only(file));
    TRY_OK(files_.rename(file, name));
    TRY_OK(files_.sync_directory(name.parent_path()));
    return files_.sync_directory(folder_);
}

Result<std::unique_ptr<File>> Blobs::read(const Digest& hash)
{
    auto file = files_.open(path(hash), Files::Mode::read);
    if (!file && file.error().code == altiplano::errors::file_missing)
        return fail(errors::not_found, fmt::format("the blob {} is not in this store", hex(hash.bytes())));
    return file;
}

Result<Digest> sha256_of(const File& file, Cached cached)
{
    Sha256Hasher hasher;
    Buffer step(1 << 20);
    TRY(const auto size, file.size());
    for (std::uint64_t at = 0;;) {
        if (cached == Cached::in_large_pieces && at % recached_bytes == 0 && at < size)
            cache_in_large_pieces(file.descriptor(), at, std::min(recached_bytes, size - at));
        TRY(const auto got, file.read_at(at, step));
        if (got == 0)
            return hasher.finish();
        hasher.update(Bytes(step).first(got));
        at += got;
    }
}

Result<std::vector<Digest>> Blobs::scrub()
{
    std::vector<Digest> changed;
    TRY(const auto folders, files_.list(folder_));
    for (const auto& folder : folders) {
        if (folder.size() != 2)
            continue;
        TRY(const auto names, files_.list(folder_ / folder));
        for (const auto& name : names) {
            TRY(const auto bytes, from_hex(name));
            TRY(const auto hash, Digest::from_bytes(bytes));
            TRY(const auto file, read(hash));
            TRY(const auto found, sha256_of(*file));
            if (found != hash)
                changed.push_back(hash);
        }
    }
    return changed;
}

}  // namespace altiplano::store
