#pragma once

#include "base/files.hpp"
#include "base/random.hpp"
#include "item/signer.hpp"

#include <memory>

namespace altiplano::node {

/// The layout of a node's data folder, version 1. Kept: VERSION, keys/, records.db, blobs/, uploads/, extensions. Caches, which
/// may be deleted while no node runs: cache.db, images/, modules/.
struct DataFolder {
    Path root;
    Path records() const { return root / "records.db"; }
    Path blobs() const { return root / "blobs"; }
    Path uploads() const { return root / "uploads"; }
    Path cache() const { return root / "cache.db"; }
    Path modules() const { return root / "modules"; }
    Path extensions() const { return root / "extensions"; }
    Path images() const { return root / "images"; }
    Path key(std::string_view name) const { return root / "keys" / (std::string(name) + ".json"); }

    /// Makes the folder or opens it, and takes its lock, which ends with the returned handle.
    /// @return node.folder_in_use, node.newer_folder, base.*
    Result<std::shared_ptr<void>> claim(Files& files) const;
    /// For whoever only reads. @return node.no_folder, node.newer_folder
    Result<void> check(Files& files) const;
};

/// The key of that file, whatever its kind; made, for its owner's eyes only, when there is none.
/// @param kind  of a new key: "ed25519", "arweave" or "ethereum"
/// @return item.bad_key, base.*
Result<std::unique_ptr<item::Signer>> load_or_make_key(
    Files& files, Random& random, const Path& path, std::string_view kind = "ed25519");

}  // namespace altiplano::node
