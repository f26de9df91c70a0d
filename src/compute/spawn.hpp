#pragma once

#include "base/executor.hpp"
#include "base/files.hpp"

#include <initializer_list>

namespace altiplano::compute {

/// Starts this program again, for one of its hidden commands. The kernel ends such a process when the thread that started it ends
/// (PR_SET_PDEATHSIG, which the commands ask for), so one thread starts them all and lives as long as this object.
class Spawner {
public:
    explicit Spawner(Path program)
        : program_(std::move(program))
        , thread_(thread_pool("spawner", 1))
    {
    }
    /// @param descriptors  the child's 3, 4, ...; the caller's stay open
    /// @return its process id; compute.worker_died
    Result<std::int64_t> start(std::string_view command, std::initializer_list<int> descriptors);

private:
    Path program_;
    std::unique_ptr<Executor> thread_;
};

/// Ends a process that was started so, whatever it is doing, and waits for that.
void end_process(std::int64_t process);

}  // namespace altiplano::compute
