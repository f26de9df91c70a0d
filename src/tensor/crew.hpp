#pragma once

#include "base/executor.hpp"
#include "kernels/implementations.hpp"
#include "tensor/check.hpp"

#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace altiplano::tensor {

/// The first node that failed, if one did.
struct Executed {
    kernels::Outcome outcome = kernels::Outcome::done;
    std::uint32_t node = 0;
};

/// Runs graphs on a number of threads, which changes no bit. May be used from several threads at once.
class Crew {
public:
    /// @param threads  at least 1; the caller's is one of them. Those that help are started when they are first needed
    Crew(const kernels::Implementation& implementation, unsigned threads);
    ~Crew();
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    /// Steps in their order, each finished before the next begins. Stops at the first that fails.
    /// @param threads_max  takes no more threads than these, though the crew may have more
    Executed run(std::span<const Step> steps, const ScratchSizes& sizes, unsigned threads_max = ~0U);

    const kernels::Implementation& implementation() const noexcept { return implementation_; }

private:
    struct Memory;
    std::unique_ptr<Memory> take(const ScratchSizes& sizes);
    Executor& helpers();

    const kernels::Implementation& implementation_;
    unsigned threads_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Memory>> idle_;  ///< scratch between calls, so that it stays mapped
    std::unique_ptr<Executor> helpers_;
};

}  // namespace altiplano::tensor
