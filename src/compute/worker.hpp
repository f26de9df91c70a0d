#pragma once

#include "base/bytes.hpp"
#include "base/files.hpp"
#include "compute/compile_limits.hpp"
#include "memory/image.hpp"

#include <functional>

namespace altiplano::compute {

struct WorkerOptions {
    bool sandboxed = true;  ///< false only where this runs inside another process (tests)
    /// What is run in place of the module that was asked for: for a test of how wrong workers are caught.
    std::function<Buffer(Bytes wasm)> instead{};
    /// What a file is that the node hands over to be written: for the simulator, which watches what is done to it.
    std::function<std::unique_ptr<File>(int descriptor)> adopt = adopt_file;
    memory::SaveRule save_rule{};
    /// Where the next message waits already, a state root is worked out on a thread of its own while that one runs. Not in the
    /// simulator.
    bool hashes_beside = true;
    CompileLimits compile{};  ///< in a process of its own only
};

/// A worker process's whole life: evaluates one process for the node at the other end of `socket`, until that end
/// closes. It holds no key, opens no database and no network; what its guest may read, the node opens.
/// @return the exit status
int run_worker(int socket, WorkerOptions options = {});

}  // namespace altiplano::compute
