#include "store/references.hpp"

#include "base/base64url.hpp"
#include "base/references.hpp"
#include "store/errors.hpp"

#include <fmt/format.h>

namespace altiplano::store {

Result<void> refer(Files& files, const Blobs& blobs, const Path& file, const Digest& hash)
{
    const auto name = blobs.path(hash);
    TRY_OK(files.make_directories(name.parent_path()));
    if (files.exists(name))
        return {};
    TRY_OK(files.remove(name));  // what an earlier reference led to is gone
    TRY_OK(altiplano::refer(name, file));
    TRY_OK(files.sync_directory(name.parent_path()));
    return files.sync_directory(name.parent_path().parent_path());
}

Result<void> forget(Files& files, const Blobs& blobs, const Digest& hash)
{
    const auto name = blobs.path(hash);
    if (!referred(name))
        return fail(errors::not_found, fmt::format("the blob {} is no reference to a file elsewhere", hex(hash.bytes())),
            "what was copied into the data folder stays there");
    TRY_OK(files.remove(name));
    return files.sync_directory(name.parent_path());
}

Result<std::vector<Path>> all_referred(Files& files, const Path& blobs)
{
    std::vector<Path> targets;
    TRY(const auto folders, files.list(blobs));
    for (const auto& folder : folders) {
        if (folder.size() != 2)
            continue;
        TRY(const auto names, files.list(blobs / folder));
        for (const auto& name : names)
            if (auto target = referred(blobs / folder / name))
                targets.push_back(*std::move(target));
    }
    return targets;
}

std::int64_t changed_ns(const Blobs& blobs, const Digest& hash)
{
    const auto target = referred(blobs.path(hash));
    return target ? altiplano::changed_ns(*target) : 0;
}

}  // namespace altiplano::store
