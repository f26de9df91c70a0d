#pragma once

#include "base/files.hpp"

#include <span>

namespace altiplano::compute {

/// From here on this process can open only what lies at or under these paths, and read `/proc`.
/// @return whether the kernel enforces it: Landlock, Linux 5.13 or newer
bool allow_only_files(std::span<const Path> read, std::span<const Path> write);

/// Gives up what a worker process never needs, before it sees a module: network, other programs, other processes, and
/// all files but those under `modules_folder` (by Landlock where the kernel has it). @return compute.sandbox
Result<void> enter_sandbox(const Path& modules_folder);
/// Gives up opening files at all, once the module is loaded and its memory is there: guest code runs with no more than
/// the descriptors it was handed.
Result<void> close_sandbox();

}  // namespace altiplano::compute
