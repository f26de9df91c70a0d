// Starts processes: a limit of one is tried in one.
#include "compute/compile_limits.hpp"

#include "compute/errors.hpp"
#include "compute/frames.hpp"

#include <atomic>
#include <functional>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace altiplano;
using namespace altiplano::compute;

namespace {

/// What the node reads from a process that did `body` within `limits`; "ended" if it said nothing.
std::string last_words(const CompileLimits& limits, const std::function<void()>& body)
{
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const auto child = fork();
    if (child == 0) {
        close(ends[0]);
        {
            const CompilingWithin within(ends[1], limits);
            body();
        }
        _exit(0);
    }
    close(ends[1]);
    Channel channel(ends[0]);
    const auto frame = channel.receive();
    waitpid(child, nullptr, 0);
    if (!frame)
        return frame.error().code == errors::worker_died ? "ended" : std::string(frame.error().sentence);
    const auto error = unpack_error(frame->payload);
    return error.code == errors::compilation_over_limit ? error.sentence : std::string(error.code);
}

}  // namespace

TEST(CompileLimits, end_what_takes_too_long_with_a_sentence)
{
    EXPECT_EQ(last_words({.seconds = 1},
                  [] {
                      for (std::atomic<std::uint64_t> i = 0;;)
                          ++i;
                  }),
        "compiling the module took more than 1 s of processor time");
}

/// As the compiler does when an allocation fails: it aborts.
TEST(CompileLimits, end_what_takes_too_much_memory_with_a_sentence)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer's allocator ends the process in its own way";
#endif
    EXPECT_EQ(last_words({.bytes = std::uint64_t{64} << 20},
                  [] {
                      std::vector<std::unique_ptr<Buffer>> kept;
                      try {
                          for (int i = 0; i < 1000; ++i)
                              kept.push_back(std::make_unique<Buffer>(1 << 20));
                      } catch (const std::bad_alloc&) {
                          kept.clear();
                          std::abort();
                      }
                  }),
        "compiling the module took more than 64 MiB of memory");
}

TEST(CompileLimits, leave_no_trace_behind)
{
    EXPECT_EQ(last_words({.seconds = 1, .bytes = 1 << 20}, [] { }), "ended");
    rlimit before{}, after{};
    getrlimit(RLIMIT_DATA, &before);
    {
        const CompilingWithin within(-1, {});
    }
    getrlimit(RLIMIT_DATA, &after);
    EXPECT_EQ(before.rlim_cur, after.rlim_cur);
}
