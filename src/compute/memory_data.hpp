#pragma once

#include "base/files.hpp"
#include "weave/weave.hpp"

namespace altiplano::compute {

/// The linear memory of a state, byte for byte, out of its whole image; what it has mapped shows the items' bytes. Read piece by
/// piece: a memory of 16 GiB takes none here.
/// @return memory.bad_image, weave.*; ENSUREs no overlay
Result<std::unique_ptr<weave::ItemData>> memory_data(std::unique_ptr<File> image, weave::Weave& weave);

}  // namespace altiplano::compute
