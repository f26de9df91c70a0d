// Limits of a process and their signals, which is this file's job.
#include "compute/compile_limits.hpp"

#include "base/files.hpp"
#include "compute/errors.hpp"
#include "compute/frames.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

/// What the handlers need: only what may be used inside of one.
struct LastWords {
    int socket = -1;
    Buffer too_long;  ///< whole frames
    Buffer too_large;
    rlimit processor{};
    rlimit data{};
    struct sigaction on_processor{};
    struct sigaction on_abort{};
} words;

/// SIGXCPU: the processor time is up. SIGABRT: an allocation was refused, which the compiler does not survive.
void say_and_end(int signal) noexcept
{
    const auto& frame = signal == SIGXCPU ? words.too_long : words.too_large;
    const auto* at = frame.data();
    for (auto left = frame.size(); left > 0;) {
        const auto sent = ::send(words.socket, at, left, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += sent;
        left -= static_cast<std::size_t>(sent);
    }
    _exit(1);
}

Buffer failed_frame(std::string sentence)
{
    const auto payload = pack_error(Error{errors::compilation_over_limit, std::move(sentence),
        "the module is not refused by its bytes: a node that allows more may run it"});
    return Channel::bytes_of(FrameType::failed, payload);
}

/// Writable private memory of this process, which RLIMIT_DATA counts; reserved address space is none.
std::uint64_t data_bytes()
{
    constexpr int data_field = 5;  // of /proc/self/statm, in pages (proc(5))
    std::array<std::byte, 128> text{};
    const auto statm = system_files().open("/proc/self/statm", Files::Mode::read);
    if (!statm || !(*statm)->read_at(0, text))
        return 0;
    auto rest = as_text(text);
    for (int i = 0; i < data_field && rest.find(' ') != rest.npos; ++i)
        rest.remove_prefix(rest.find(' ') + 1);
    std::uint64_t pages = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), pages);
    return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

CompilingWithin::CompilingWithin(int socket, const CompileLimits& limits)
{
    words.socket = socket;
    words.too_long = failed_frame(fmt::format("compiling the module took more than {} s of processor time", limits.seconds));
    words.too_large = failed_frame(fmt::format("compiling the module took more than {} MiB of memory", limits.bytes >> 20));
    struct sigaction action{};
    action.sa_handler = say_and_end;
    sigemptyset(&action.sa_mask);
    sigaction(SIGXCPU, &action, &words.on_processor);
    sigaction(SIGABRT, &action, &words.on_abort);

    // The soft limits alone: those can be put back.
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto spent = static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    const auto lower = [](auto resource, rlim_t value, rlimit& before) {
        getrlimit(resource, &before);
        const rlimit within{.rlim_cur = std::min(value, before.rlim_cur), .rlim_max = before.rlim_max};
        setrlimit(resource, &within);
    };
    lower(RLIMIT_CPU, spent + limits.seconds + 1, words.processor);
    lower(RLIMIT_DATA, data_bytes() + limits.bytes, words.data);
}

CompilingWithin::~CompilingWithin()
{
    setrlimit(RLIMIT_DATA, &words.data);
    setrlimit(RLIMIT_CPU, &words.processor);
    sigaction(SIGXCPU, &words.on_processor, nullptr);
    sigaction(SIGABRT, &words.on_abort, nullptr);
}

}  // namespace altiplano::compute
