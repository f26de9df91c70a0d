#pragma once

#include "compute/refused_compiles.hpp"
#include "compute/worker_client.hpp"

#include <list>
#include <mutex>

namespace altiplano::compute {

/// Worker processes that have a module loaded and wait for a machine of it: so a sleeping process wakes without a new
/// process, a sandbox and a module to load. Safe from any thread.
///
/// Isolation: a worker has the machine of one process at a time. It serves another process only of the same module, after
/// the machine before is gone with its memory; a worker that ended a message in any unusual way is never used again. Two
/// processes of one module may thus meet the same worker one after the other; `idle_max` 0 gives every process its own.
class WorkerPool {
public:
    /// @param threads  lives longer
    WorkerPool(Files& files, WorkerStart start, Path modules, memory::Tracker tracker, const TensorThreads& threads,
        std::size_t idle_max, WorkerClient::OpenCard card = {})
        : start_(std::move(start))
        , modules_(std::move(modules))
        , tracker_(tracker)
        , threads_(threads)
        , idle_max_(idle_max)
        , card_(std::move(card))
        , refused_(files, modules_, {})
    {
    }
    /// A worker with the context's module and no machine. @return module.*, compute.compilation_over_limit, compute.worker_died,
    /// compute.stopping
    Result<std::unique_ptr<WorkerClient>> take(const Context& context);
    /// Takes a worker back that is well, its machine to be forgotten; ends it when there are enough.
    void give_back(std::unique_ptr<WorkerClient> worker, const Context& context);
    void clear();
    /// Gives up what is being loaded, which may be a compilation of minutes, and starts no worker any more.
    void stop();
    std::vector<std::int64_t> processes();

private:
    struct Idle {
        std::string kind;
        std::unique_ptr<WorkerClient> worker;
    };
    WorkerStart start_;
    Path modules_;
    memory::Tracker tracker_;
    const TensorThreads& threads_;
    std::size_t idle_max_;
    WorkerClient::OpenCard card_;
    RefusedCompiles refused_;
    std::mutex mutex_;
    std::list<Idle> idle_;  ///< newest first
    std::list<WorkerClient*> loading_;  ///< owned by whoever takes them
    bool stopping_ = false;
};

}  // namespace altiplano::compute
