#include "node/disk.hpp"

namespace altiplano::node {

namespace {

void add(Files& files, const Path& path, DiskUse& use)
{
    // One that ends meanwhile takes nothing.
    if (const auto file = files.open(path, Files::Mode::read)) {
        ++use.files;
        use.bytes += (*file)->stored_bytes().value_or(0);
    }
}

/// A folder's own files, or with `deep` those of its folders.
Result<void> add_folder(Files& files, const Path& folder, bool deep, DiskUse& use)
{
    if (!files.exists(folder))
        return {};
    TRY(const auto names, files.list(folder));
    for (const auto& name : names)
        if (deep)
            TRY_OK(add_folder(files, folder / name, false, use));
        else
            add(files, folder / name, use);
    return {};
}

}  // namespace

Result<std::vector<DiskUse>> disk_use(Files& files, const DataFolder& folder)
{
    DiskUse records{.part = "records"};
    DiskUse blobs{.part = "blobs"};
    DiskUse uploads{.part = "uploads"};
    DiskUse cache{.part = "cache", .is_cache = true};
    DiskUse images{.part = "images", .is_cache = true};
    DiskUse modules{.part = "modules", .is_cache = true};
    for (const auto* behind : {"", "-wal", "-shm"}) {
        add(files, folder.records().string() + behind, records);
        add(files, folder.cache().string() + behind, cache);
    }
    TRY_OK(add_folder(files, folder.blobs(), true, blobs));
    TRY_OK(add_folder(files, folder.uploads(), false, uploads));
    TRY_OK(add_folder(files, folder.images(), false, images));
    TRY_OK(add_folder(files, folder.modules(), false, modules));
    return std::vector<DiskUse>{records, blobs, uploads, cache, images, modules};
}

}  // namespace altiplano::node
