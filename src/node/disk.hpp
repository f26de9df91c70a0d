#pragma once

#include "node/data_folder.hpp"

namespace altiplano::node {

/// What one part of a data folder takes on disk.
struct DiskUse {
    std::string_view part;
    bool is_cache = false;  ///< may be deleted while the node is down
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;  ///< holes left out
};

/// All parts, in the order of docs/architecture.md. Cost: a look at every file. @return base.file_failed
Result<std::vector<DiskUse>> disk_use(Files& files, const DataFolder& folder);

}  // namespace altiplano::node
