#pragma once

#include "store/blobs.hpp"

#include <optional>

/// Blobs whose file stays where its owner keeps it: no second copy. Its bytes may change or vanish under us, so whoever reads
/// one compares changed_ns() with what it was when the hash was checked.
namespace altiplano::store {

/// @param file  an absolute path @param hash  the SHA-256 of its bytes, which the caller has just read @return base.file_failed
Result<void> refer(Files& files, const Blobs& blobs, const Path& file, const Digest& hash);
/// Such a blob, forgotten: the file stays. @return store.not_found if it is none
Result<void> forget(Files& files, const Blobs& blobs, const Digest& hash);
/// The files that the blobs of a folder refer to. @return base.file_failed
Result<std::vector<Path>> all_referred(Files& files, const Path& blobs);
/// When a file that is referred to was changed last; 0 for our own, which never are.
std::int64_t changed_ns(const Blobs& blobs, const Digest& hash);

}  // namespace altiplano::store
