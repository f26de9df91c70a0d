#pragma once

#include "base/bytes.hpp"

#include <cstdint>

namespace altiplano::compute {

/// What a worker process may use while it compiles one module.
struct CompileLimits {
    std::uint64_t seconds = 120;  ///< of processor time, all threads; llama.wasm, our largest module, takes eight
    std::uint64_t bytes = std::uint64_t{4} << 30;  ///< more than the process has when it begins
};

/// Holds this process to `limits` as long as it lives. A module on which the compiler goes beyond them ends the process, whose
/// last act is to answer `failed` with compute.compilation_over_limit on the node's socket: whether a compiler gives up cannot be
/// caught, and who failed once in the middle of it must not go on. Whose process it is, is the caller's: one at a time.
class CompilingWithin {
public:
    /// @param socket  the node's; borrowed, like what is said there by nobody else meanwhile
    CompilingWithin(int socket, const CompileLimits& limits);
    ~CompilingWithin();
    CompilingWithin(const CompilingWithin&) = delete;
    CompilingWithin& operator=(const CompilingWithin&) = delete;
};

}  // namespace altiplano::compute
