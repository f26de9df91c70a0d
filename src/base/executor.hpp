#pragma once

#include <chrono>
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
/// @param away_max  so many more are started where tasks are away, if need be
std::unique_ptr<Executor> thread_pool(std::string_view name, std::size_t threads, std::size_t away_max = 0);

inline constexpr std::chrono::milliseconds patience{30};  ///< before a wait is a long one
inline constexpr std::size_t many_away = 64;  ///< for pools whose tasks wait for evaluations that take long

/// A task that has long to wait: while this lives, its thread counts as none of its pool's, and another one may do what was
/// posted. Made and ended by one thread; nothing on a thread of no pool, or that is away already.
class Away {
public:
    Away() noexcept;
    ~Away();
    Away(const Away&) = delete;
    Away& operator=(const Away&) = delete;

private:
    Executor* pool_;
};

}  // namespace altiplano
