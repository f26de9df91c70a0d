#pragma once

namespace altiplano::compute {

/// A worker process's whole life: evaluates one process for the node at the other end of `socket`, until that end
/// closes. It holds no key, opens no database and no network; what its guest may read, the node opens.
/// @param sandboxed  false only where this runs inside another process (tests)
/// @return the exit status
int run_worker(int socket, bool sandboxed = true);

}  // namespace altiplano::compute
