#pragma once

#include "base/files.hpp"

namespace altiplano::compute {

/// Gives up what a worker process never needs, before it sees a module: network, other programs, other processes, and
/// all files but those under `modules_folder` (by Landlock where the kernel has it). @return compute.sandbox
Result<void> enter_sandbox(const Path& modules_folder);
/// Gives up opening files at all, once the module is loaded and its memory is there: guest code runs with no more than
/// the descriptors it was handed.
Result<void> close_sandbox();

}  // namespace altiplano::compute
