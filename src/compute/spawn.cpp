// Starts and ends processes, which is this file's job.
#include "compute/spawn.hpp"

#include "compute/errors.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <future>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

Result<std::int64_t> spawn(const Path& program, std::string command, std::span<const int> descriptors)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // Copies stay open in the new program, unlike the originals. They are made in order, so none may lie where a later one goes.
    constexpr int first = 3;
    std::vector<int> copies;
    for (const int descriptor : descriptors)
        copies.push_back(fcntl(descriptor, F_DUPFD_CLOEXEC, first + static_cast<int>(descriptors.size())));
    for (int i = 0; i < static_cast<int>(copies.size()); ++i)
        posix_spawn_file_actions_adddup2(&actions, copies[static_cast<std::size_t>(i)], first + i);
    std::string name = "altiplano";
    char* arguments[] = {name.data(), command.data(), nullptr};
    pid_t child = 0;
    const int failed = posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    for (const int copy : copies)
        close(copy);
    if (failed != 0)
        return fail(errors::worker_died,
            fmt::format("cannot start {} {}: {}", program.string(), command, std::generic_category().message(failed)));
    return child;
}

}  // namespace

Result<std::int64_t> Spawner::start(std::string_view command, std::initializer_list<int> descriptors)
{
    std::promise<Result<std::int64_t>> started;
    thread_->post(
        [&] { started.set_value(spawn(program_, std::string(command), std::span(descriptors.begin(), descriptors.size()))); });
    return started.get_future().get();
}

void end_process(std::int64_t process)
{
    kill(static_cast<pid_t>(process), SIGKILL);
    while (waitpid(static_cast<pid_t>(process), nullptr, 0) < 0 && errno == EINTR) { }
}

}  // namespace altiplano::compute
