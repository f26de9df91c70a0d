#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace altiplano {

/// Runs tasks on threads that this object owns, or one by one in the simulator. Rooms create no threads themselves.
class Executor {
public:
    virtual ~Executor() = default;
    /// Runs `task` some time later, on any thread of the executor. Tasks may post. A task that throws ends the program.
    virtual void post(std::function<void()> task) = 0;
};

/// `threads` threads named after `name` (at most 15 characters shown). The destructor finishes what was posted, then joins.
std::unique_ptr<Executor> thread_pool(std::string_view name, std::size_t threads);

}  // namespace altiplano
